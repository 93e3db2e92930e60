import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { pictureSession } from '../../../functions/engine/prepared/picture-session.ts';
import type { PicturePreparation } from '../../../functions/engine/prepared/preparation.ts';
import type { Session } from '../../../functions/engine/process/session.ts';
import { model, node, value } from '../../../functions/onnx/proto/build.ts';
import type { Geometry } from '../../../functions/pictures/geometry.ts';
import { type DType, float16View, type Tensor, type TensorSpec } from '../../../functions/tensor/tensor.ts';
import { identity, writeModel } from '../../helpers/models.ts';
import { loadPictures, pictureFiles } from '../../helpers/picture-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'picture-session-'));
after(() => rmSync(folder, { recursive: true }));

/** A picture of 3 x 2 pixels, whose values are halved and moved by -1. */
const GEOMETRY: Geometry = { resize: { size: { kind: 'exact', width: 3, height: 2 }, filter: 'nearest' } };
function preparationOf(more: Partial<PicturePreparation> = {}, geometry = GEOMETRY): PicturePreparation {
  const normalisation = { scale: 0.5, mean: [1, 1, 1], std: [1, 1, 1], order: 'RGB' } as const;
  return { kind: 'picture', settings: { geometry, normalisation, sources: {} }, ...more };
}

function sessionOf(...inputs: TensorSpec[]): { session: Session; runs: Tensor[] } {
  const runs: Tensor[] = [];
  const session: Session = {
    signature: { inputs, outputs: [{ name: 'y', dtype: 'float32', shape: [-1] }] },
    patched: [],
    external: [],
    weights: { use: 'copied', mappedBytes: 0 } as Session['weights'],
    async run(feeds) {
      // Its memory is freed after the run.
      runs.push(...feeds.map(({ dtype, dims, data }) => ({ dtype, dims, data: data.slice() as Tensor['data'] })));
      return [];
    },
  };
  return { session, runs };
}
const image = (dtype: DType, shape: number[], more: Partial<TensorSpec> = {}): TensorSpec => ({
  name: 'image',
  dtype,
  shape,
  ...more,
});

/** Two pictures: the first with 2, 4 and 6 in all pixels, the second with 8, 10 and 12. */
const PIXELS = Uint8Array.from({ length: 36 }, (_, i) => (i < 18 ? 2 : 8) + 2 * (i % 3));
const planes = [0, 1, 2, 3, 4, 5].flatMap((value) => new Array<number>(6).fill(value));
const interleaved = Array.from({ length: 36 }, (_, i) => (i < 18 ? 0 : 3) + (i % 3));

const LAYOUTS: [title: string, input: TensorSpec, layout: PicturePreparation['layout'], expected: Tensor][] = [
  [
    'channels first, as the shape has 3 there',
    image('float32', [-1, 3, 2, -1]),
    undefined,
    { dtype: 'float32', dims: [2, 3, 2, 3], data: Float32Array.from(planes) },
  ],
  [
    'channels last',
    image('float32', [-1, -1, -1, 3]),
    undefined,
    { dtype: 'float32', dims: [2, 2, 3, 3], data: Float32Array.from(interleaved) },
  ],
  [
    'the dimension that the exporter names after the channels',
    image('float32', [-1, -1, -1, -1], { dimNames: ['batch_size', 'num_channels', 'height', 'width'] }),
    undefined,
    { dtype: 'float32', dims: [2, 3, 2, 3], data: Float32Array.from(planes) },
  ],
  [
    'the layout that model.json sets',
    image('float32', [], { anyRank: true }),
    'NHWC',
    { dtype: 'float32', dims: [2, 2, 3, 3], data: Float32Array.from(interleaved) },
  ],
  [
    'the pixels as they are, for a uint8 input',
    image('uint8', [-1, 2, -1, 3]),
    'NHWC',
    { dtype: 'uint8', dims: [2, 2, 3, 3], data: PIXELS },
  ],
];
for (const [title, input, layout, expected] of LAYOUTS) {
  test(`a model gets ${title}`, async () => {
    const { session, runs } = sessionOf(input);
    const prepared = pictureSession(session, preparationOf({ layout }));
    assert.deepEqual(prepared.signature.inputs, [{ name: 'pixels', dtype: 'uint8', shape: [-1, 2, 3, 3] }]);
    assert.deepEqual(prepared.signature.outputs, session.signature.outputs);
    await prepared.run([{ slot: 0, dtype: 'uint8', dims: [2, 2, 3, 3], data: PIXELS }]);
    assert.deepEqual(runs, [expected]);
  });
}

test('a model of one picture a run keeps its batch size', () => {
  const { session } = sessionOf(image('float32', [1, 3, 2, 3]));
  assert.deepEqual(pictureSession(session, preparationOf({ layout: 'NCHW' })).signature.inputs[0]!.shape, [1, 2, 3, 3]);
});

const REFUSED: [title: string, inputs: TensorSpec[], preparation: PicturePreparation, message: RegExp][] = [
  [
    'whose channels may be first or last',
    [image('float32', [-1, 3, 2, 3])],
    preparationOf(),
    /^input image has the shape \[-1,3,2,3\]: the channels may be first or last\. Set input\.image\.layout of model\.json/,
  ],
  [
    'whose channels are not known',
    [image('float32', [-1, -1, -1, -1])],
    preparationOf(),
    /no dimension is known to be the 3 channels\. Set input\.image\.layout/,
  ],
  [
    'of another size',
    [image('float32', [-1, 3, 224, 225])],
    preparationOf(),
    /\[-1,3,224,225\], with a height of 224 as NCHW: pictures are prepared as 2 x 3 \(height x width\)/,
  ],
  [
    'that has other channels than the layout says',
    [image('float32', [-1, 2, 3, 3])],
    preparationOf({ layout: 'NCHW' }),
    /with a channels of 2 as NCHW/,
  ],
  [
    'of two inputs',
    [image('float32', [-1, 3, 2, 2]), image('float32', [-1])],
    preparationOf(),
    /expected one, for pictures/,
  ],
  [
    'of integers',
    [image('int64', [-1, 3, 2, 2])],
    preparationOf(),
    /^input image is int64: .*float32, float16, uint8$/,
  ],
  ['of three dimensions', [image('float32', [3, 2, 2])], preparationOf(), /expected 4 dimensions/],
  [
    'whose pictures would have several sizes',
    [image('float32', [-1, 3, -1, -1])],
    preparationOf({}, { resize: { size: { kind: 'shortest', edge: 2 }, filter: 'bilinear' } }),
    /several sizes: expected a size with height and width, a crop_size or a pad_size$/,
  ],
];
for (const [title, inputs, preparation, message] of REFUSED) {
  test(`a model ${title} does not load, and the error says why`, () => {
    assert.throws(() => pictureSession(sessionOf(...inputs).session, preparation), { message });
  });
}

const picture = sharp({ create: { width: 4, height: 5, channels: 3, background: { r: 200, g: 100, b: 50 } } });

for (const [dtype, shape] of [
  ['float16', ['N', 2, 3, 3]],
  ['float32', ['N', 3, 'H', 'W']],
  ['uint8', ['N', 3, 2, 'W']],
] as const) {
  test(`an engine process runs a ${dtype} model of shape ${shape}`, async (t) => {
    const path = join(writeModel(folder, `${dtype}-model`, identity(dtype, [...shape])), 'model.onnx');
    const isLast = shape[3] === 3;
    const preparation = preparationOf({ layout: isLast ? 'NHWC' : 'NCHW' });
    const generation = await loadPictures(t, pictureFiles('image-classifier-resnet', preparation, path));
    const data = [(await picture.png().toBuffer()).toString('latin1')];
    const [outcome] = await generation.predict(
      { tensors: [{ dtype: 'string', dims: [1], data }], rows: 1 },
      { cancelled: false },
    );
    if ('error' in outcome!) throw outcome.error;
    const [y] = outcome!.outputs;
    assert.equal(y!.dtype, dtype);
    const values = Array.from(dtype === 'float16' ? float16View(y!.data) : (y!.data as Float32Array), Number);
    const pixel = dtype === 'uint8' ? [200, 100, 50] : [99, 49, 24];
    const expected = isLast
      ? new Array<number[]>(6).fill(pixel).flat()
      : pixel.flatMap((value) => new Array<number>(6).fill(value));
    assert.deepEqual(values, expected);
  });
}

test('a load fails with the file, the shape and the sizes of a model that takes other pictures', async (t) => {
  const path = join(writeModel(folder, 'other', identity('float32', ['N', 3, 8, 9])), 'model.onnx');
  await assert.rejects(loadPictures(t, pictureFiles('image-classifier-resnet', preparationOf(), path)), {
    code: 'MODEL_FAILED',
    message: /model\.onnx: input x has the shape \[-1,3,8,9\].*2 x 3/,
  });
});

test('a load fails with what has callers send tensors if the graph does not take the pictures or texts of its export', async (t) => {
  const HINT = /expected .*; "input": \{"tensors": true\} in model\.json has callers send tensors$/;
  const flat = join(writeModel(folder, 'flat', identity('float32', ['N', 4])), 'model.onnx');
  await assert.rejects(loadPictures(t, pictureFiles('image-classifier-resnet', {}, flat)), {
    code: 'MODEL_FAILED',
    message: HINT,
  });
  // DETR's export has a mask beside the pixels.
  const masked = join(writeModel(folder, 'masked', identityWithMask()), 'model.onnx');
  await assert.rejects(loadPictures(t, pictureFiles('image-classifier-resnet', {}, masked)), {
    code: 'MODEL_FAILED',
    message: /inputs pixel_values, pixel_mask: expected one.*"input": \{"tensors": true\}/,
  });
});

/** `pixel_values` float32 [N, 3, 224, 224] and `pixel_mask` int64 [N, 64, 64], of which the first is the output. */
function identityWithMask(): Uint8Array {
  return model({
    name: 'masked',
    nodes: [node('Identity', ['pixel_values'], ['y'])],
    inputs: [value('pixel_values', 'float32', ['N', 3, 224, 224]), value('pixel_mask', 'int64', ['N', 64, 64])],
    outputs: [value('y', 'float32', ['N', 3, 224, 224])],
  });
}
