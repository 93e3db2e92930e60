/**
 * Baseline (a): a simple handler on the functions framework, with one session of default options. It is started by the framework's
 * own command, so that its complete stack is measured.
 */
import { join } from 'node:path';
import * as functions from '@google-cloud/functions-framework';

process.env.ORT_DISABLE_TELEMETRY = '1';
const ort = await import('onnxruntime-node');

const CLASSES = ['setosa', 'versicolor', 'virginica'];
const modelPath = join(process.env.MODEL_URI ?? 'models/iris', 'model.onnx');
const loading = ort.InferenceSession.create(modelPath);

functions.http('predict', async (req, res) => {
  try {
    const session = await loading;
    const { features } = req.body as { features: number[] };
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
    res.json({ prediction, label, outputs, model: { name: 'iris', version: '1' } });
  } catch (error) {
    res.status(400).json({ error: String(error) });
  }
});
