/**
 * Baseline of texts: tokenizer, onnxruntime and node:http in one process, one session of default options, one text in each run. Pooled
 * by the mean and normalized in JavaScript; requests and responses are those of text-embeddings-inference.
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Tokenizer } from '@anush008/tokenizers';

process.env.ORT_DISABLE_TELEMETRY = '1';
const ort = await import('onnxruntime-node');

const MOST_TOKENS = 512;
const folder = process.env.MODEL_URI!;
const tokenizer = Tokenizer.fromFile(join(folder, 'tokenizer.json'));
tokenizer.setTruncation(MOST_TOKENS);
const loading = ort.InferenceSession.create(join(folder, 'model.onnx'));

function pool(hidden: Float32Array, tokens: number): number[] {
  const width = hidden.length / tokens;
  const sums = new Array<number>(width).fill(0);
  for (let token = 0; token < tokens; token++) {
    for (let i = 0; i < width; i++) sums[i]! += hidden[token * width + i]!;
  }
  const norm = Math.hypot(...sums);
  return sums.map((sum) => sum / norm);
}

async function embed(body: string): Promise<number[][]> {
  const { inputs } = JSON.parse(body) as { inputs: string };
  const session = await loading;
  const encoding = await tokenizer.encode(inputs);
  const ids = encoding.getIds();
  const tensor = (values: readonly number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, ids.length]);
  const results = await session.run({
    input_ids: tensor(ids),
    attention_mask: tensor(encoding.getAttentionMask()),
    token_type_ids: tensor(encoding.getTypeIds()),
  });
  return [pool(results.last_hidden_state!.data as Float32Array, ids.length)];
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', async () => {
    let status = 200;
    let answer: object;
    try {
      answer = req.url === '/health' ? { status: 'ok' } : await embed(Buffer.concat(chunks).toString());
    } catch (error) {
      status = 400;
      answer = { error: String(error) };
    }
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(answer));
  });
});
server.listen(Number(process.env.PORT ?? 8080));
