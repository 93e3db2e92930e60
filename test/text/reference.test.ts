import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sigmoid, softmaxRows } from '../../functions/tensor/activation.ts';
import { padBatch, planBatches, restoreOrder } from '../../functions/text/batches.ts';
import { normalizeRows, pool } from '../../functions/text/pooling.ts';
import { readTextSettings } from '../../functions/text/settings.ts';
import { type TextInput, TextTokenizer } from '../../functions/text/tokenizer.ts';
import { expectedOf, REFS, readInputs, readText } from './refs.ts';

const INPUTS = readInputs();
const TOLERANCE = 1e-4;

/** Texts through settings, tokenizer, batches, the model and pooling: the values of each, in order. */
async function run(model: string, inputs: readonly TextInput[], changed = new Map<string, string>()) {
  const names = globSync('**/*.json', { cwd: join(REFS, 'models', model) });
  const texts = new Map([...names.map((name) => [name, readText(`models/${model}/${name}`)] as const), ...changed]);
  const settings = readTextSettings(texts);
  const tokenizer = await TextTokenizer.load(texts.get('tokenizer.json')!, {
    file: 'tokenizer.json',
    maxLength: settings.maxLength.value,
    specialNames: 'token',
    lowerCase: settings.lowerCase.value,
  });
  const encoded = await tokenizer.encode(inputs);
  const path = globSync('**/*.onnx', { cwd: join(REFS, 'models', model) })[0]!;
  const session = await InferenceSession.create(join(REFS, 'models', model, path));
  const batches = planBatches(
    encoded.map(({ ids }) => ids.length),
    { maxTokens: 512, maxRows: 8 },
  );
  const results: Float32Array[][] = [];
  for (const batch of batches) {
    const padded = padBatch(batch, encoded, settings.padTokenId!.value);
    const shape = [padded.rows, padded.length];
    const given = { input_ids: padded.ids, attention_mask: padded.mask, token_type_ids: padded.typeIds };
    const feeds = Object.entries(given).filter(([name]) => session.inputNames.includes(name));
    const outputs = await session.run(
      Object.fromEntries(feeds.map(([name, data]) => [name, new Tensor('int64', data, shape)])),
    );
    const output = outputs[session.outputNames[0]!]!;
    const width = output.dims.at(-1)!;
    const values = output.data as Float32Array;
    const mode = settings.pooling?.value;
    const pooled =
      mode === undefined
        ? values
        : pool(mode, { values, rows: padded.rows, tokens: padded.length, dimensions: width }, padded.mask);
    if (settings.normalize?.value) normalizeRows(pooled, width);
    results.push(Array.from(batch.rows, (_, i) => pooled.slice(i * width, (i + 1) * width)));
  }
  await session.release();
  return { settings, values: restoreOrder(batches, results) };
}

function assertClose(got: ArrayLike<number>, expected: ArrayLike<number>, place: string): void {
  assert.equal(got.length, expected.length, place);
  for (let i = 0; i < got.length; i++) {
    const difference = Math.abs(got[i]! - expected[i]!);
    assert.ok(difference <= TOLERANCE, `${place}: [${i}] is ${got[i]}, and torch gives ${expected[i]}`);
  }
}

test('embeddings of every reference text, in shared runs, are within 1e-4 of torch', async () => {
  const { cases } = expectedOf('text-embedding-bert');
  const { values } = await run(
    'text-embedding-bert',
    cases.map(({ id }) => INPUTS.get(id)!),
  );
  for (const [i, { id, embedding }] of cases.entries()) assertClose(values[i]!, embedding!, id);
});

test('logits and softmax of every reference text are within 1e-4 of torch', async () => {
  const { cases } = expectedOf('text-classifier');
  const { settings, values } = await run(
    'text-classifier',
    cases.map(({ id }) => INPUTS.get(id)!),
  );
  assert.equal(settings.activation?.value, 'softmax');
  for (const [i, { id, logits, softmax }] of cases.entries()) {
    assertClose(values[i]!, logits!, id);
    assertClose(softmaxRows(values[i]!, 3), softmax!, id);
  }
});

test('scores of every reference text with several labels are within 1e-4 of torch', async () => {
  const { cases } = expectedOf('text-classifier');
  const config = new Map([['config.json', readText('models/text-classifier/config.multi_label.json')]]);
  const { settings, values } = await run(
    'text-classifier',
    cases.map(({ id }) => INPUTS.get(id)!),
    config,
  );
  assert.equal(settings.activation?.value, 'sigmoid');
  for (const [i, expected] of cases.entries()) {
    assertClose(sigmoid(values[i]!), expected.sigmoid as number[], expected.id);
  }
});

test('scores of every reference pair are within 1e-4 of torch', async () => {
  const { cases } = expectedOf('reranker');
  const { settings, values } = await run(
    'reranker',
    cases.map(({ id }) => INPUTS.get(id)!),
  );
  assert.equal(settings.activation?.value, 'sigmoid');
  for (const [i, expected] of cases.entries()) {
    assertClose(values[i]!, [expected.logit!], expected.id);
    assertClose(sigmoid(values[i]!), [expected.sigmoid as number], expected.id);
  }
});

test('documents are ranked in the order of the reference', async () => {
  const { query, documents, best_first: best } = expectedOf('reranker').settings.ranking!;
  const { values } = await run(
    'reranker',
    documents.map((second) => ({ first: query, second })),
  );
  const order = [...documents.keys()].sort((a, b) => values[b]![0]! - values[a]![0]!);
  assert.deepEqual(
    order,
    best.map(({ index }) => index),
  );
  for (const { index, logit } of best) assertClose(values[index]!, [logit], `document ${index}`);
});
