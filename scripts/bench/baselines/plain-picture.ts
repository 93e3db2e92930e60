/**
 * Baseline of pictures: sharp, onnxruntime and node:http in one process, one session of default options, one picture in each run,
 * normalized in JavaScript.
 *
 * `--pixels sharp`: sharp resizes, which decodes a JPEG at a part of its size; the pixels are up to a level away from the reference's.
 * `--pixels exact`: sharp decodes, and the product's own code resizes: the pixels are the product's.
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import sharp from 'sharp';
import { applyGeometry, type Geometry } from '../../../functions/pictures/geometry.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const ort = await import('onnxruntime-node');

const [EDGE, SIDE] = [256, 224];
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
const GEOMETRY: Geometry = {
  resize: { size: { kind: 'shortest', edge: EDGE }, filter: 'bicubic' },
  crop: { width: SIDE, height: SIDE },
};
const exact = process.argv.includes('exact');
const loading = ort.InferenceSession.create(join(process.env.MODEL_URI!, 'model.onnx'));

async function pixelsOf(file: Buffer): Promise<Uint8Array> {
  const image = sharp(file).autoOrient().removeAlpha();
  if (exact) {
    const { data, info } = await image.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
    return applyGeometry(GEOMETRY, { data, width: info.width, height: info.height }).data;
  }
  const { data: resized, info } = await image
    .resize(EDGE, EDGE, { fit: 'outside', kernel: 'cubic' })
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const left = (info.width - SIDE) >> 1;
  const top = (info.height - SIDE) >> 1;
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) {
    const from = ((top + y) * info.width + left) * 3;
    data.set(resized.subarray(from, from + SIDE * 3), y * SIDE * 3);
  }
  return data;
}

async function classify(file: Buffer): Promise<object> {
  const session = await loading;
  const pixels = await pixelsOf(file);
  const values = new Float32Array(pixels.length);
  const area = SIDE * SIDE;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) values[c * area + i] = (pixels[i * 3 + c]! / 255 - MEAN[c]!) / STD[c]!;
  }
  const results = await session.run({ pixel_values: new ort.Tensor('float32', values, [1, 3, SIDE, SIDE]) });
  return { outputs: { logits: Array.from(results.logits!.data as Float32Array) } };
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', async () => {
    let status = 200;
    let answer: object;
    try {
      answer = req.url === '/health' ? { status: 'ok' } : await classify(Buffer.concat(chunks));
    } catch (error) {
      status = 400;
      answer = { error: String(error) };
    }
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(answer));
  });
});
server.listen(Number(process.env.PORT ?? 8080));
