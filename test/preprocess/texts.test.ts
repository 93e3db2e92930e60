import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ServingError } from '../../functions/errors.ts';
import type { Generation } from '../../functions/model/serving/generation.ts';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import type { Entity } from '../../functions/text/entities.ts';
import { descendants, kill } from '../helpers/descendants.ts';
import { FATAL_TEXT, fatalNormalizer } from '../helpers/fatal-tokenizer.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { loadText, predictTexts, type RowOutputs, rowsOf, stringTensor } from '../helpers/text-models.ts';
import { until } from '../helpers/until.ts';
import { expectedOf, REFS, readInputs } from '../text/refs.ts';

const folder = mkdtempSync(join(tmpdir(), 'texts-'));
after(() => rmSync(folder, { recursive: true }));

const BERT = 'text-embedding-bert';
const CLASSIFIER = 'text-classifier';
/** Processes of a model that several tests use. */
const shared = loadText({ after }, BERT);
const found = <T>(value: T) => ({ value, file: 'default', field: '' });
const isRow = (row: RowOutputs | ServingError | undefined): RowOutputs => {
  if (row === undefined || row instanceof ServingError) throw row ?? new Error('the row is missing');
  return row;
};
const errorOf = (row: RowOutputs | ServingError | undefined): string =>
  row instanceof ServingError ? `${row.code}: ${row.message}` : 'no error';

function assertNear(got: RowOutputs, expected: RowOutputs, tolerance = 1e-4): void {
  assert.deepEqual(Object.keys(got), Object.keys(expected));
  for (const [name, values] of Object.entries(expected)) {
    assert.equal(got[name]!.length, values.length, name);
    for (const [i, value] of values.entries()) {
      assert.ok(
        Math.abs(Number(got[name]![i]) - Number(value)) <= tolerance,
        `${name}[${i}]: ${got[name]![i]}, ${value}`,
      );
    }
  }
}

/** The tokenizer of a reference model with other parts, in a file. */
function writeTokenizer(model: string, name: string, parts: object): { tokenizer: string; place: string } {
  const json = JSON.parse(readFileSync(join(REFS, 'models', model, 'tokenizer.json'), 'utf8')) as object;
  const tokenizer = join(folder, `${name}.json`);
  writeFileSync(tokenizer, JSON.stringify({ ...json, ...parts }));
  return { tokenizer, place: `${name}/tokenizer.json` };
}

/** The processes below this one that tokenize. */
function tokenizerPids(): number[] {
  return descendants(process.pid).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('text-worker');
    } catch {
      return false;
    }
  });
}

test('callers see one text, and a pair of texts of a model for reranking', async (t) => {
  const [bert, reranker] = await Promise.all([shared, loadText(t, 'reranker')]);
  const text = { name: 'text', dtype: 'string', shape: [-1] };
  assert.deepEqual(bert.signature, {
    inputs: [text],
    outputs: [
      { name: 'embedding', dtype: 'float32', shape: [-1, 64] },
      { name: 'tokens', dtype: 'int32', shape: [-1] },
      { name: 'truncated', dtype: 'bool', shape: [-1] },
    ],
  });
  assert.deepEqual(reranker.signature.inputs, [text, { ...text, name: 'text_pair' }]);
});

test('a text that is too long is truncated, and is refused with its length if the caller wants it whole', async () => {
  const generation = await shared;
  const long = 'word '.repeat(300);
  const [cut, short] = await predictTexts(generation, [long, 'short']);
  assert.deepEqual([isRow(cut).tokens, isRow(cut).truncated], [[96], [1]]);
  assert.deepEqual(isRow(short).truncated, [0]);
  const rows = await predictTexts(generation, [long, 'short'], { text: { truncate: false } });
  assert.match(
    errorOf(rows[0]),
    /^INVALID_INPUT: the text has \d{3,} tokens: expected at most 96, because truncate is false$/,
  );
  assertNear(isRow(rows[1]), isRow(short));
});

test('an empty text has the tokens that the model adds', async () => {
  const [row] = await predictTexts(await shared, ['']);
  assert.deepEqual(isRow(row).tokens, [2]);
});

test('a text of more than a million characters is refused, and the others of its request are not', async (t) => {
  const generation = await loadText(t, CLASSIFIER);
  const rows = await predictTexts(generation, ['a'.repeat(2 ** 20 + 1), 'fine']);
  assert.equal(errorOf(rows[0]), 'INVALID_INPUT: the text has more than 1048576 characters: send it in parts');
  assert.ok(isRow(rows[1]).logits);
  assert.deepEqual(errorOf((await predictTexts(generation, ['a'.repeat(2 ** 20 + 1)]))[0]), errorOf(rows[0]));
});

test('a prompt of the model is put before the text: that of the request, or the default one', async (t) => {
  const settings = { prompts: found({ query: 'query: ', passage: 'passage: ' }), defaultPrompt: found('passage') };
  const [plain, prompted] = await Promise.all([shared, loadText(t, BERT, { settings })]);
  const expected = await predictTexts(plain, ['query: tea', 'passage: tea']);
  const [query] = await predictTexts(prompted, ['tea'], { text: { prompt: 'query' } });
  const [passage] = await predictTexts(prompted, ['tea']);
  assertNear(isRow(query), isRow(expected[0]));
  assertNear(isRow(passage), isRow(expected[1]));
});

test('a prompt that the model does not have is refused, with those that it has', async (t) => {
  const settings = { prompts: found({ query: 'query: ', passage: 'passage: ' }) };
  const [plain, prompted] = await Promise.all([shared, loadText(t, BERT, { settings })]);
  await assert.rejects(predictTexts(prompted, ['tea'], { text: { prompt: 'question' } }), {
    code: 'INVALID_INPUT',
    message: 'the prompt "question" is not known: expected one of query, passage',
  });
  await assert.rejects(predictTexts(plain, ['tea'], { text: { prompt: '__proto__' } }), {
    code: 'INVALID_INPUT',
    message: 'the prompt "__proto__" is not known: the model has no prompts',
  });
});

test('the tokens of a prompt take no part in pooling if the model says so', async (t) => {
  const settings = {
    prompts: found({ query: 'query: ' }),
    includePrompt: found(false),
    pooling: found('mean' as const),
  };
  const first = { ...settings, pooling: found('cls' as const) };
  const [excluded, included, firstOfText] = await Promise.all([
    loadText(t, BERT, { settings }),
    loadText(t, BERT, { settings: { ...settings, includePrompt: found(true) } }),
    loadText(t, BERT, { settings: first }),
  ]);
  const options = { text: { prompt: 'query' } };
  const rows = await Promise.all(
    [excluded, included].map(async (one) => isRow((await predictTexts(one, ['tea'], options))[0])),
  );
  assert.notDeepEqual(rows[0]!.embedding, rows[1]!.embedding);
  // A text without more than its closing token has one vector left, which every pooling gives.
  const [mean, cls] = await Promise.all(
    [excluded, firstOfText].map(async (one) => isRow((await predictTexts(one, [''], options))[0])),
  );
  assertNear(mean!, cls!);
});

test('embeddings are normalized as the model says, unless the request says otherwise', async (t) => {
  const generation = await shared;
  const lengthOf = ({ embedding }: RowOutputs) => Math.hypot(...(embedding as number[]));
  const [normalized] = await predictTexts(generation, ['tea']);
  const [raw] = await predictTexts(generation, ['tea'], { text: { normalize: false } });
  assert.ok(Math.abs(lengthOf(isRow(normalized)) - 1) < 1e-5);
  assert.ok(Math.abs(lengthOf(isRow(raw)) - 1) > 0.01);
  const other = await loadText(t, BERT, { settings: { normalize: found(false) } });
  const [wanted] = await predictTexts(other, ['tea'], { text: { normalize: true } });
  assertNear(isRow(wanted), isRow(normalized));
});

test('token ids are used as they are, and one outside of the vocabulary is refused', async () => {
  const generation = await shared;
  const { cases } = expectedOf(BERT);
  const [a, b] = cases as [(typeof cases)[0], (typeof cases)[0]];
  const rows = [a.input_ids, b.input_ids, [2, 3000, 3], [-5], []];
  const length = Math.max(...rows.map((ids) => ids.length));
  const data = Int32Array.from(rows.flatMap((ids) => [...ids, ...Array<number>(length - ids.length).fill(-1)]));
  const feeds = { tensors: [{ dtype: 'int32' as const, dims: [rows.length, length], data }], rows: rows.length };
  const [first, second, ...bad] = rowsOf(await generation.predict(feeds, { cancelled: false }), generation.signature);
  for (const [row, { embedding, id }] of [
    [first, a],
    [second, b],
  ] as const) {
    const got = isRow(row).embedding as number[];
    assert.ok(
      got.every((value, i) => Math.abs(value - embedding![i]!) < 1e-4),
      id,
    );
  }
  assert.deepEqual(bad.map(errorOf), [
    'INVALID_INPUT: the token id 3000 at 1 is not of the vocabulary: expected 0 to 2999',
    'INVALID_INPUT: the token id -5 at 0 is not of the vocabulary: expected 0 to 2999',
    'INVALID_INPUT: the text has no tokens: expected at least one',
  ]);
  await assert.rejects(generation.predict(feeds, { cancelled: false }, { text: { prompt: 'query' } }), {
    message: 'a prompt is put before a text: expected no prompt beside token ids',
  });
});

test('tokens of a text are told with their places, before truncation', async () => {
  const generation = await shared;
  await assert.rejects(generation.tokenize!(['fine', 'a'.repeat(2 ** 16 + 1)], { cancelled: false }), {
    message: 'the text has more than 65536 characters: send it in parts',
  });
  const [tea, long] = await generation.tokenize!(['Größe 🎉 tea', 'a '.repeat(200)], { cancelled: false });
  assert.equal(long!.ids.length, 202);
  assert.deepEqual(
    tea!.special,
    tea!.tokens.map((_, i) => i === 0 || i === tea!.tokens.length - 1),
  );
  const characters = [...'Größe 🎉 tea'];
  const [start, end] = tea!.offsets.at(-2)!;
  assert.equal(characters.slice(start, end).join(''), tea!.tokens.at(-2)!.replace('##', ''));
  assert.equal(tea!.ids.length, tea!.tokens.length);
});

test('texts of 64 clients at the same time have the embeddings that each has alone', async (t) => {
  const generation = await loadText(t, BERT, { engine: { maxBatchSize: 64 }, settings: { maxLength: found(128) } });
  const words = [...readInputs().values()].flatMap(({ first }) => first.split(/\s+/)).filter((word) => word !== '');
  const texts = fc
    .tuple(fc.integer({ min: 1, max: 400 }), fc.nat(words.length - 1))
    .map(([count, from]) => Array.from({ length: count }, (_, i) => words[(from + i) % words.length]).join(' '));
  await fc.assert(
    fc.asyncProperty(fc.array(texts, { minLength: 64, maxLength: 64 }), async (sent) => {
      const together = await Promise.all(sent.map((one) => predictTexts(generation, [one])));
      for (const [i, one] of sent.entries()) {
        const [alone] = await predictTexts(generation, [one]);
        assertNear(isRow(together[i]![0]), isRow(alone));
      }
    }),
    { numRuns: 3 },
  );
});

test('a run has no more tokens than it may have', async (t) => {
  const telemetry = recordTelemetry();
  const engine = { maxBatchSize: 64, maxBatchTokens: 64 };
  const generation = await loadText(t, BERT, { engine }, telemetry);
  // 16 tokens each with their padding: four of them are 64, and the bytes of their lengths leave room for three.
  const rows = await predictTexts(generation, Array<string>(30).fill('one two three four five six seven'));
  assert.equal(rows.filter((row) => row instanceof ServingError).length, 0);
  const sizes = telemetry.metrics.statistics.all().flatMap(({ runs }) => [...runs.keys()]);
  assert.ok(sizes.length > 0 && Math.max(...sizes) <= 4, sizes.join(', '));
});

test('a request is refused before its body is read while the queue of texts is full', async (t) => {
  const generation = await loadText(t, CLASSIFIER, { engine: { maxQueueSize: 2 } });
  const terms = { cancelled: false };
  assert.equal(generation.refuse(terms), undefined);
  const working = predictTexts(generation, ['tea', 'coffee']);
  assert.equal(generation.refuse(terms)?.code, 'OVERLOADED');
  assert.equal((await working).length, 2);
  assert.equal(generation.refuse(terms), undefined);
});

test('the process that tokenizes is watched with the engines, and is replaced when it has grown', async (t) => {
  const telemetry = recordTelemetry();
  const generation = await loadText(t, CLASSIFIER, {}, telemetry);
  const [engine, tokenizer, ...others] = generation.watched();
  assert.deepEqual([others, engine!.pid], [[], generation.engines()[0]!.pid]);
  await tokenizer!.recycle('it has grown', true);
  const next = generation.watched()[1]!;
  assert.notEqual(next.pid, tokenizer!.pid);
  assert.deepEqual([next.state, generation.watched()[0]!.pid], ['idle', engine!.pid]);
  assert.equal((await predictTexts(generation, ['tea'])).length, 1);
  const { text } = telemetry.metrics.render();
  assert.match(text, /^preparing_restarts_total\{reason="memory"\} 1$/m);
  assert.match(text, /^engine_restarts_total\{reason="memory"\} 0$/m);
});

test('a request that is cancelled is not tokenized', async () => {
  const generation = await shared;
  const feeds = { tensors: [stringTensor(['tea'])], rows: 1 };
  await assert.rejects(generation.predict(feeds, { cancelled: true }), { code: 'CLIENT_GONE' });
});

test('texts whose process is killed are tokenized by its replacement', async (t) => {
  const others = tokenizerPids();
  const generation = await loadText(t, CLASSIFIER);
  const [expected] = await predictTexts(generation, ['tea']);
  const [pid] = tokenizerPids().filter((one) => !others.includes(one));
  // Long enough that the process is at work when it is killed.
  const working = predictTexts(generation, ['long '.repeat(200_000), 'tea']);
  await new Promise((resolve) => setImmediate(resolve));
  kill(pid!);
  const rows = await working;
  assertNear(isRow(rows[1]), isRow(expected));
  assert.deepEqual(isRow(rows[0]).truncated, [1]);
  assert.ok(!tokenizerPids().includes(pid!));
});

test('a text that ends its process is refused, and the others of the run are answered', async (t) => {
  const generation = await loadText(t, CLASSIFIER, {
    preparation: writeTokenizer(CLASSIFIER, 'fatal', { normalizer: fatalNormalizer() }),
  });
  const alone = await predictTexts(generation, ['tea', 'coffee']);
  const [tea, fatal, coffee] = await predictTexts(generation, ['tea', FATAL_TEXT, 'coffee']);
  assert.match(errorOf(fatal), /^MODEL_FAILED: the text cannot be tokenized: the process that does it failed on it$/);
  assertNear(isRow(tea), isRow(alone[0]));
  assertNear(isRow(coffee), isRow(alone[1]));
});

test('a damaged tokenizer.json fails the load with its name, and its processes end', async (t) => {
  const broken = join(folder, 'broken.json');
  writeFileSync(broken, '{"model": {"type": "WordPiece", "vocab": {"a": 0}');
  await shared;
  const others = tokenizerPids();
  const load = (preparation: object) => loadText(t, CLASSIFIER, { preparation });
  await assert.rejects(load({ tokenizer: broken, place: 'm/tokenizer.json' }), {
    code: 'MODEL_FAILED',
    message: /^m\/tokenizer\.json is not JSON: /,
  });
  await assert.rejects(load(writeTokenizer(CLASSIFIER, 'unknown', { model: { type: 'Other' } })), {
    code: 'MODEL_FAILED',
    message: /^unknown\/tokenizer\.json is not a tokenizer that this server reads: /,
  });
  await assert.rejects(load({ tokenizer: join(folder, 'missing.json'), place: 'm/tokenizer.json' }), {
    code: 'MODEL_FAILED',
    message: /^m\/tokenizer\.json does not load: ENOENT/,
  });
  await until(() => tokenizerPids().every((pid) => others.includes(pid)), 'the processes to end');
});

test('a tokenizer.json that ends the process which reads it fails the load with its name', async (t) => {
  const preparation = writeTokenizer(CLASSIFIER, 'cut', {
    normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAQA' },
  });
  await assert.rejects(loadText(t, CLASSIFIER, { preparation }), {
    code: 'MODEL_FAILED',
    message: /^cut\/tokenizer\.json does not load: the engine process ended: killed by SIGABRT/,
  });
});

test('a model that takes no token ids fails the load with the names of its inputs, and no process is left', async (t) => {
  await shared;
  const others = tokenizerPids();
  const path = join(writeModel(folder, 'no-texts', identity()), 'model.onnx');
  await assert.rejects(loadText(t, CLASSIFIER, { files: { path } }), {
    code: 'MODEL_FAILED',
    message:
      'text-classifier/model.onnx: a model of texts has an input input_ids, and this one has x: export it again; ' +
      '"input": {"tensors": true} in model.json has callers send tensors',
  });
  assert.deepEqual(tokenizerPids(), others);
});

test('entities of a text have labels, scores and the places of their characters', async (t) => {
  const generation = await loadTagger(t);
  assert.deepEqual(
    generation.signature.outputs.map(({ name }) => name),
    ['entities', 'tokens', 'truncated'],
  );
  const text = 'Zoë 🎉 lives in São Paulo';
  const rows = await predictTexts(generation, [text, 'tea']);
  const entities = JSON.parse(String(isRow(rows[0]).entities![0])) as Entity[];
  assert.ok(entities.length > 0);
  for (const { label, score, word, start, end } of entities) {
    assert.match(label, /^LABEL_\d+$/);
    assert.ok(score > 0 && score <= 1 && word.length > 0 && end > start && end <= [...text].length);
  }
  const [alone] = await predictTexts(generation, [text]);
  const again = JSON.parse(String(isRow(alone).entities![0])) as Entity[];
  assert.deepEqual(
    again.map(({ score: _, ...rest }) => rest),
    entities.map(({ score: _, ...rest }) => rest),
  );
});

/** The hidden states of the reference model as scores of 64 labels. */
function loadTagger(t: Parameters<typeof loadText>[0]): Promise<Generation> {
  const labels = Array.from({ length: 64 }, (_, i) => `LABEL_${i}`);
  return loadText(t, BERT, { settings: { task: found('token-classification' as const), labels: found(labels) } });
}

test('outputs by token of a model without a task have as many tokens as the text', async (t) => {
  const generation = await loadText(t, BERT, { settings: { task: undefined } });
  const rows = await predictTexts(generation, ['tea', 'a text of some more words', 'tea']);
  for (const row of rows) {
    const { last_hidden_state: states, tokens } = isRow(row);
    assert.equal(states!.length, Number(tokens![0]) * 64);
  }
  assertNear(isRow(rows[0]), isRow(rows[2]));
});

test('exports of one text a run, and of a fixed length, answer requests of many texts, truncated to their length', async (t) => {
  const texts = ['one', 'one two three four five six', 'seven eight', 'one'];
  const free = await loadText(t, BERT, {
    files: { path: writeLookup('lookup', 'N', 'L') },
    settings: { maxLength: found(6) },
  });
  const expected = (await predictTexts(free, texts)).map(isRow);
  assert.deepEqual(
    expected.map(({ truncated }) => truncated),
    [[0], [1], [0], [0]],
  );
  for (const [batch, length] of [
    [1, 6],
    ['N', 6],
    [1, 'L'],
  ] as const) {
    const settings = length === 6 ? {} : { maxLength: found(6) };
    const path = writeLookup(`lookup-${batch}-${length}`, batch, length);
    const generation = await loadText(t, BERT, { files: { path }, settings });
    assert.deepEqual([generation.joinsRows, generation.batching.enabled], [true, batch === 'N']);
    assert.deepEqual(generation.signature.outputs[0]!.shape, [-1, 3]);
    for (const [i, row] of (await predictTexts(generation, texts)).entries()) assertNear(isRow(row), expected[i]!);
  }
});

/** Writes a model whose hidden states are vectors of the token ids. */
function writeLookup(name: string, batch: number | string, length: number | string): string {
  const vectors = Float32Array.from({ length: 3000 * 3 }, (_, i) => Math.sin(i));
  const bytes = model({
    name: 'lookup',
    nodes: [node('Gather', ['vectors', 'input_ids'], ['last_hidden_state'])],
    initializers: [initializer('vectors', 'float32', [3000, 3], vectors)],
    inputs: [value('input_ids', 'int64', [batch, length]), value('attention_mask', 'int64', [batch, length])],
    outputs: [value('last_hidden_state', 'float32', [batch, length, 3])],
  });
  return join(writeModel(folder, name, bytes), 'model.onnx');
}
