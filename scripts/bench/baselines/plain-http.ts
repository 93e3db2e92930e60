/**
 * Baseline (b): a simple server on plain node:http, with one session of default options. Its response has the fields of the
 * product's.
 */
import { createServer } from 'node:http';
import { join } from 'node:path';

process.env.ORT_DISABLE_TELEMETRY = '1';
const ort = await import('onnxruntime-node');

const CLASSES = ['setosa', 'versicolor', 'virginica'];
const modelPath = join(process.env.MODEL_URI ?? 'models/iris', 'model.onnx');
const loading = ort.InferenceSession.create(modelPath);

async function predict(text: string): Promise<object> {
  const session = await loading;
  const { features } = JSON.parse(text) as { features: number[] };
  const [input] = session.inputMetadata;
  const dims = input?.isTensor ? [1, ...input.shape.slice(1).map(Number)] : [1, features.length];
  const data = Float32Array.from(features.flat(Infinity) as number[]);
  const results = await session.run({ [session.inputNames[0]!]: new ort.Tensor('float32', data, dims) });
  const outputs: Record<string, number | number[]> = {};
  for (const [name, tensor] of Object.entries(results)) {
    const values = Array.from(tensor.data as Float32Array | BigInt64Array, Number);
    outputs[name] = values.length === 1 ? values[0]! : values;
  }
  const prediction = outputs[session.outputNames[0]!];
  const label = typeof prediction === 'number' ? CLASSES[prediction] : undefined;
  return { prediction, label, outputs, model: { name: 'iris', version: '1' } };
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', async () => {
    let status = 200;
    let answer: object;
    try {
      answer = req.url === '/health' ? { status: 'ok' } : await predict(Buffer.concat(chunks).toString());
    } catch (error) {
      status = 400;
      answer = { error: String(error) };
    }
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(answer));
  });
});
server.listen(Number(process.env.PORT ?? 8080));
