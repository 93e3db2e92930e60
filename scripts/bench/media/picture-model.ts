import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import type { ModelInput } from '../bench-inputs.ts';
import { randomNumbers } from './random.ts';

const [WIDTH, HEIGHT] = [1500, 1000];
const LABELS = 10;
/** `preprocessor_config.json` of a ResNet: the shortest edge becomes 256, and 224 x 224 of the middle are taken. */
const PREPROCESSOR = {
  image_processor_type: 'BitImageProcessor',
  do_resize: true,
  size: { shortest_edge: 256 },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: 224, width: 224 },
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.485, 0.456, 0.406],
  image_std: [0.229, 0.224, 0.225],
};

/**
 * A ResNet of one block in each of three stages: `pixel_values` float32 [N,3,224,224] -> `logits` float32 [N,10]. It is small, so that
 * the path of a picture to the model takes most of the time.
 */
function residualNet(): Uint8Array {
  const random = randomNumbers(50);
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  let count = 0;
  const conv = (from: string, inputs: number, filters: number, size: number, stride: number): string => {
    const name = `conv${count++}`;
    const dims = [filters, inputs, size, size];
    const limit = Math.sqrt(6 / (inputs * size * size));
    const weights = Float32Array.from({ length: filters * inputs * size * size }, () => (2 * random() - 1) * limit);
    initializers.push(initializer(`${name}.weight`, 'float32', dims, weights));
    const [side, pad, step] = [size, size >> 1, stride].map(BigInt) as [bigint, bigint, bigint];
    const shape = { kernel_shape: [side, side], pads: [pad, pad, pad, pad], strides: [step, step] };
    nodes.push(node('Conv', [from, `${name}.weight`], [name], shape));
    return name;
  };
  const relu = (from: string): string => {
    nodes.push(node('Relu', [from], [`${from}.relu`]));
    return `${from}.relu`;
  };
  let from = relu(conv('pixel_values', 3, 16, 7, 4));
  let channels = 16;
  for (const filters of [16, 32, 64]) {
    const stride = filters === channels ? 1 : 2;
    const main = conv(relu(conv(from, channels, filters, 3, stride)), filters, filters, 3, 1);
    const shortcut = conv(from, channels, filters, 1, stride);
    nodes.push(node('Add', [main, shortcut], [`sum${filters}`]));
    from = relu(`sum${filters}`);
    channels = filters;
  }
  const dense = Float32Array.from({ length: channels * LABELS }, () => random() - 0.5);
  initializers.push(initializer('dense', 'float32', [channels, LABELS], dense));
  nodes.push(
    node('GlobalAveragePool', [from], ['pooled']),
    node('Flatten', ['pooled'], ['flat']),
    node('MatMul', ['flat', 'dense'], ['logits']),
  );
  return model({
    name: 'residual-net',
    nodes,
    initializers,
    inputs: [value('pixel_values', 'float32', ['N', 3, 224, 224])],
    outputs: [value('logits', 'float32', ['N', LABELS])],
  });
}

/** A JPEG of 1.5 million pixels: waves of several lengths with some noise, so that it has as many bytes as a photograph. */
async function makePicture(): Promise<Buffer> {
  const random = randomNumbers(15);
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let y = 0, at = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const wave = 60 * Math.sin(x / 90 + y / 200) + 30 * Math.cos(y / 23) + (((x >> 5) ^ (y >> 6)) & 15);
      const noise = (random() - 0.5) * 24;
      for (let channel = 0; channel < 3; channel++) {
        pixels[at++] = Math.max(0, Math.min(255, 128 + wave * (1 - channel / 4) + noise));
      }
    }
  }
  return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

/** Writes a classifier of pictures with the files of its export, and a request with a JPEG. */
export async function writePictureModel(folder: string): Promise<ModelInput> {
  mkdirSync(folder, { recursive: true });
  const id2label = Object.fromEntries(Array.from({ length: LABELS }, (_, i) => [i, `label ${i}`]));
  writeFileSync(join(folder, 'model.onnx'), residualNet());
  writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(PREPROCESSOR));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model_type: 'resnet', id2label }));
  const body = `${folder}.jpg`;
  const bytes = await makePicture();
  writeFileSync(body, bytes);
  const type = 'image/jpeg';
  return { folder, body, type, request: requestBytes('POST', '/predict', bytes, [`Content-Type: ${type}`]) };
}
