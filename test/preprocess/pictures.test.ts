import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { Outcome } from '../../functions/engine/batcher.ts';
import { createPicturePreprocessor } from '../../functions/preprocess/pictures.ts';
import type { Preprocessor } from '../../functions/preprocess/preprocessor.ts';
import { descendants } from '../helpers/descendants.ts';
import {
  loadPictures,
  type PictureModelName,
  pictureFile,
  pictureFiles,
  picturePreparation,
  referenceCases,
} from '../helpers/picture-model.ts';

const CALLER = { cancelled: false };
const feedsOf = (...files: Uint8Array[]) => ({
  tensors: [
    {
      dtype: 'string' as const,
      dims: [files.length],
      data: files.map((file) => Buffer.from(file).toString('latin1')),
    },
  ],
  rows: files.length,
});

for (const model of ['image-classifier-resnet', 'image-classifier-vit'] satisfies PictureModelName[]) {
  test(`${model} answers every picture of a request as the reference does, and refuses the others by name`, async (t) => {
    const generation = await loadPictures(t, pictureFiles(model));
    assert.deepEqual(generation.signature.inputs, [{ name: 'image', dtype: 'string', shape: [-1], bytes: true }]);
    const cases = referenceCases(model);
    const outcomes = await generation.predict(feedsOf(...cases.map(({ file }) => pictureFile(file))), CALLER);
    assert.equal(outcomes.length, cases.length);
    for (const [i, { file, pil }] of cases.entries()) {
      const outcome = outcomes[i]!;
      if (pil === undefined) {
        assert.ok('error' in outcome && outcome.error.code === 'INVALID_INPUT', file);
        assert.match(outcome.error.message, /^the picture: /);
        continue;
      }
      const logits = logitsOf(outcome);
      for (const [at, logit] of pil.logits.entries()) {
        assert.ok(Math.abs(logits[at]! - logit) <= 1e-3, `${file}: logit ${at}: ${logits[at]}, expected ${logit}`);
      }
      assert.equal(logits.indexOf(Math.max(...logits)), pil.top5[0]!.index, file);
    }
  });
}

function logitsOf(outcome: Outcome): number[] {
  if ('error' in outcome) throw outcome.error;
  const { dims, data } = outcome.outputs[0]!;
  const width = dims[1]!;
  return [...(data as Float32Array).subarray(outcome.first * width, (outcome.first + 1) * width)];
}

/** The processes of the tests below, which prepare pictures without a model. */
let shared: Promise<Preprocessor> | undefined;
const open = (memoryBytes?: number, runTimeoutMs?: number): Promise<Preprocessor> =>
  createPicturePreprocessor(
    picturePreparation('image-classifier-resnet'),
    { capacity: { cpus: 1, memoryBytes }, processes: 1, maxQueueSize: 100 },
    runTimeoutMs,
  );
after(async () => (await shared)?.close());

async function prepare(file: Uint8Array, preprocessor?: Preprocessor) {
  shared ??= open();
  const [row] = await (preprocessor ?? (await shared)).prepare(feedsOf(file), CALLER);
  return 'error' in row! ? `${row.error.code}: ${row.error.message}` : row!.feeds.tensors[0]!;
}

/** A PNG whose header says this size, and that has no such pixels. */
function pngOf(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (type: string, data: Buffer): Buffer => {
    const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const ends = Buffer.alloc(4);
    ends.writeUInt32BE(crc32(typed), 0);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length, 0);
    return Buffer.concat([length, typed, ends]);
  };
  const parts = [chunk('IHDR', header), chunk('IDAT', deflateSync(Buffer.alloc(1000))), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

const ODD: [title: string, file: () => Buffer | Promise<Buffer>, expected: RegExp][] = [
  [
    'a truncated JPEG',
    () => pictureFile('bad-truncated.jpg'),
    /^INVALID_INPUT: the picture: the jpeg of \d+ bytes is truncated$/,
  ],
  [
    'a text named .jpg',
    () => pictureFile('bad-text.jpg'),
    /^INVALID_INPUT: the picture: expected JPEG.*found a text file$/,
  ],
  ['an empty file', () => pictureFile('bad-empty.png'), /^INVALID_INPUT: .*found no bytes at all$/],
  ['a header of 50000 x 50000', () => pngOf(50_000, 50_000), /^INVALID_INPUT: .*50000 x 50000 pixels; 50000000 pixels/],
  ['an SVG', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /^INVALID_INPUT: .*found an SVG drawing$/],
];
const solid = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 100, b: 50 } } });

for (const [title, file, expected] of ODD) {
  test(`${title} is refused, and the next picture is prepared`, async () => {
    assert.match(String(await prepare(await file())), expected);
    assert.notEqual(typeof (await prepare(pictureFile('png-rgb-256.png'))), 'string');
  });
}

test('a picture of one pixel, a GIF of several frames and a PNG of 16 bits are prepared, and one of 16000 x 1', async () => {
  const deep = await sharp(pictureFile('png-rgb-256.png')).toColourspace('rgb16').png().toBuffer();
  // Resized to 3584000 x 224, which would be 2.4 GB, if more were computed than the crop.
  const wide = await solid(16_000, 1).png().toBuffer();
  for (const file of [pictureFile('png-1x1.png'), pictureFile('gif-three-frames.gif'), deep, wide]) {
    const row = await prepare(file);
    assert.ok(typeof row !== 'string', row as string);
    assert.deepEqual(row.dims, [1, 224, 224, 3]);
  }
});

test('the pixels are those of the reference', async () => {
  for (const { file, pil } of referenceCases('image-classifier-resnet')) {
    if (pil === undefined) continue;
    const row = await prepare(pictureFile(file));
    assert.ok(typeof row !== 'string', row as string);
    const digest = createHash('sha256')
      .update(row.data as Uint8Array)
      .digest('hex');
    assert.equal(digest, pil.pixel_values.sha256_uint8_hwc, file);
  }
});

/** The processes of this test that decode pictures. */
const decoders = (): number[] =>
  descendants(process.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('picture-worker'));

test('a process that is killed costs no picture', async (t) => {
  const preprocessor = await open();
  t.after(() => preprocessor.close());
  const before = decoders();
  const rows = preprocessor.prepare(feedsOf(pictureFile('png-rgb-256.png'), pictureFile('jpeg-gray.jpg')), CALLER);
  for (const pid of before) process.kill(pid, 'SIGKILL');
  assert.deepEqual(
    (await rows).map((row) => 'error' in row),
    [false, false],
  );
});

test('a picture that takes too long is refused, its process is replaced, and the next one is prepared', async (t) => {
  const preprocessor = await open(undefined, 1500);
  t.after(() => preprocessor.close());
  process.kill(decoders().at(-1)!, 'SIGSTOP');
  assert.match(
    String(await prepare(pictureFile('jpeg-gray.jpg'), preprocessor)),
    /^DEADLINE: the picture: it takes more than 1\.5 s to decode and resize; send a smaller one$/,
  );
  assert.notEqual(typeof (await prepare(pictureFile('jpeg-gray.jpg'), preprocessor)), 'string');
});

test('a server without sharp says so, and what to do, and leaves no process', async (t) => {
  const hook = `import{registerHooks}from'node:module';registerHooks({resolve(name,context,next){if(name==='sharp')throw%20new%20Error('none');return%20next(name,context)}})`;
  const { NODE_OPTIONS } = process.env;
  process.env.NODE_OPTIONS = `--import=data:text/javascript,${hook}`;
  t.after(() => {
    if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = NODE_OPTIONS;
  });
  const before = decoders();
  const message =
    /no support for pictures: the package sharp does not load\. Install it, or build the image with PICTURES=on$/;
  await assert.rejects(open(), { message });
  assert.deepEqual(decoders(), before);
  const files = pictureFiles('image-classifier-resnet');
  await assert.rejects(loadPictures(t, files), {
    code: 'MODEL_FAILED',
    message: /model\.onnx: this server has no support/,
  });
});

test('large pictures one after the other do not add up in memory', async (t) => {
  const preprocessor = await open();
  t.after(() => preprocessor.close());
  const [pid] = decoders().slice(-1);
  const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
  await prepare(pictureFile('jpeg-gray.jpg'), preprocessor);
  const before = peak();
  const file = await solid(6000, 4000).jpeg().toBuffer();
  for (let i = 0; i < 6; i++) assert.notEqual(typeof (await prepare(file, preprocessor)), 'string');
  // As `planPictures` counts; six times the decoded bytes are more.
  assert.ok(peak() - before < 12 * 6000 * 4000, `${peak() - before} bytes`);
});

test('the largest picture follows from the memory', async (t) => {
  const preprocessor = await open(512 * 2 ** 20);
  t.after(() => preprocessor.close());
  const row = await prepare(await solid(5000, 4000).png().toBuffer(), preprocessor);
  assert.match(String(row), /^INVALID_INPUT: the picture: a png of 5000 x 4000 pixels; 16777216 pixels/);
});
