import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TextPreparation } from '../../../functions/engine/prepared/preparation.ts';
import { textSession } from '../../../functions/engine/prepared/text-session.ts';
import type { SlottedTensor } from '../../../functions/engine/process/frame.ts';
import type { Session } from '../../../functions/engine/process/session.ts';
import { elementCount, type Tensor, type TensorSpec, valuesOf } from '../../../functions/tensor/tensor.ts';
import { preparationOf } from '../../helpers/text-models.ts';

const found = <T>(value: T) => ({ value, file: 'default', field: '' });
const BERT = preparationOf('text-embedding-bert');
const withSettings = (settings: Partial<TextPreparation['settings']>): TextPreparation => ({
  ...BERT,
  settings: { ...BERT.settings, ...settings },
});
const PLAIN = withSettings({ normalize: found(false) });
const input = (name: string, dtype: TensorSpec['dtype'] = 'int64', shape = [-1, -1]): TensorSpec => ({
  name,
  dtype,
  shape,
});
const IDS = input('input_ids');
const MASK = input('attention_mask');
const STATES: TensorSpec = { name: 'last_hidden_state', dtype: 'float32', shape: [-1, -1, 2] };

/** A session whose first output are numbers that count up, of the shape that the run has; it keeps what it was given. */
function counting(
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  given: SlottedTensor[][] = [],
): Session {
  return {
    signature: { inputs, outputs },
    patched: [],
    external: [],
    weights: { use: 'packed', mappedBytes: 0 },
    async run(feeds) {
      given.push([...feeds]);
      const [rows, length] = feeds[0]!.dims as [number, number];
      return outputs.map(({ dtype, shape }, slot) => {
        const dims = shape.map((dim, at) => (dim !== -1 ? dim : at === 0 ? rows : length));
        const values = Array.from({ length: elementCount(dims) }, (_, i) => i);
        if (dtype !== 'float16') return { slot, dtype, dims, data: Float32Array.from(values) };
        return { slot, dtype, dims, data: new Uint16Array(Float16Array.from(values).buffer) };
      });
    },
  };
}

/** Feeds of rows of these lengths; ids count up from 10. */
function feedsOf(lengths: readonly number[], width = 8, promptLength = 0, flags = 0): SlottedTensor[] {
  const rows = lengths.length;
  const ids = new Int32Array(rows * width);
  for (const [row, length] of lengths.entries()) for (let i = 0; i < length; i++) ids[row * width + i] = 10 + i;
  const types = new Uint8Array(rows * width).map((_, i) => (i % width === 1 ? 1 : 0));
  const meta = Int32Array.from(lengths.flatMap((length, row) => [length, length + row, promptLength, flags]));
  return [
    { slot: 0, dtype: 'int32', dims: [rows, width], data: ids },
    { slot: 1, dtype: 'uint8', dims: [rows, width], data: types },
    { slot: 2, dtype: 'int32', dims: [rows, 4], data: meta },
  ];
}

const numbers = (tensor: Tensor | undefined): number[] => Array.from(valuesOf(tensor!) as ArrayLike<number>, Number);

test('the model gets the rows as long as the longest of them, with the inputs that it has', async () => {
  const given: SlottedTensor[][] = [];
  const specs = [MASK, IDS, input('token_type_ids', 'int32'), input('position_ids')];
  const session = textSession(counting(specs, [STATES], given), PLAIN);
  await session.run(feedsOf([3, 2]));
  assert.deepEqual(
    given[0]!.map(({ slot, dtype, dims, data }) => ({
      slot,
      dtype,
      dims,
      values: Array.from(data as Int32Array, Number),
    })),
    [
      { slot: 0, dtype: 'int64', dims: [2, 3], values: [1, 1, 1, 1, 1, 0] },
      { slot: 1, dtype: 'int64', dims: [2, 3], values: [10, 11, 12, 10, 11, 0] },
      { slot: 2, dtype: 'int32', dims: [2, 3], values: [0, 1, 0, 0, 1, 0] },
      { slot: 3, dtype: 'int64', dims: [2, 3], values: [0, 1, 2, 0, 1, 0] },
    ],
  );
});

test('padding has the id of the export, and positions begin where the family of the model has them', async () => {
  const given: SlottedTensor[][] = [];
  const settings = { padTokenId: found(1), modelType: found('xlm-roberta') };
  await textSession(counting([IDS, MASK, input('position_ids')], [STATES], given), withSettings(settings)).run(
    feedsOf([2, 1]),
  );
  assert.deepEqual(
    [numbers(given[0]![0]), numbers(given[0]![2])],
    [
      [10, 11, 10, 1],
      [2, 3, 2, 0],
    ],
  );
});

test('tokens are pooled to one embedding for each text, without padding, and truncation is told', async () => {
  const session = textSession(counting([IDS, MASK], [STATES]), withSettings({ normalize: found(false) }));
  const [embedding, tokens, truncated] = await session.run(feedsOf([3, 2], 8, 0, 1));
  assert.deepEqual(embedding!.dims, [2, 2]);
  assert.deepEqual(numbers(embedding), [2, 3, 7, 8]);
  assert.deepEqual(
    [numbers(tokens), numbers(truncated)],
    [
      [3, 2],
      [0, 1],
    ],
  );
  assert.deepEqual(session.signature.outputs, [
    { name: 'embedding', dtype: 'float32', shape: [-1, 2] },
    { name: 'tokens', dtype: 'int32', shape: [-1] },
    { name: 'truncated', dtype: 'bool', shape: [-1] },
  ]);
});

test('an embedding is normalized unless its row says otherwise', async () => {
  const [embedding] = await textSession(counting([IDS, MASK], [STATES]), BERT).run(feedsOf([1]));
  assert.deepEqual(numbers(embedding), [0, 1]);
  const [both] = await textSession(counting([IDS, MASK], [STATES]), BERT).run(feedsOf([2]));
  assert.ok(Math.abs(Math.hypot(...numbers(both)) - 1) < 1e-6);
});

test('the tokens of a prompt are not pooled if the export says so', async () => {
  const without = withSettings({ includePrompt: found(false) });
  const [embedding] = await textSession(counting([IDS, MASK], [STATES]), without).run(feedsOf([3], 8, 2, 1));
  assert.deepEqual(numbers(embedding), [4, 5]);
  const [all] = await textSession(counting([IDS, MASK], [STATES]), PLAIN).run(feedsOf([3], 8, 2, 1));
  assert.deepEqual(numbers(all), [2, 3]);
});

test('an output sentence_embedding is used without pooling, unless the prompt is not part of the embedding', async () => {
  const sentence: TensorSpec = { name: 'sentence_embedding', dtype: 'float32', shape: [-1, 2] };
  const outputs = [{ ...STATES, name: 'token_embeddings' }, sentence];
  const [embedding] = await textSession(counting([IDS, MASK], outputs), PLAIN).run(feedsOf([3], 8, 2, 1));
  assert.deepEqual(numbers(embedding), [0, 1]);
  const without = withSettings({ includePrompt: found(false) });
  const [pooled] = await textSession(counting([IDS, MASK], outputs), without).run(feedsOf([3], 8, 2, 1));
  assert.deepEqual(numbers(pooled), [4, 5]);
});

test('hidden states of float16 are pooled to float32', async () => {
  const [embedding] = await textSession(counting([IDS, MASK], [{ ...STATES, dtype: 'float16' }]), PLAIN).run(
    feedsOf([3], 8, 0, 1),
  );
  assert.deepEqual([embedding!.dtype, numbers(embedding)], ['float32', [2, 3]]);
});

test('a model of a fixed length gets every row of that length, and one of one text a run takes no more', async () => {
  const given: SlottedTensor[][] = [];
  const fixed = textSession(counting([input('input_ids', 'int64', [-1, 6]), MASK], [STATES], given), PLAIN);
  await fixed.run(feedsOf([3], 6));
  assert.deepEqual(given[0]![0]!.dims, [1, 6]);
  assert.deepEqual(fixed.signature.inputs[0], { name: 'ids', dtype: 'int32', shape: [-1, 6] });
  const one = textSession(counting([input('input_ids', 'int64', [1, -1]), MASK], [STATES]), PLAIN);
  assert.deepEqual(one.signature.inputs[0]!.shape, [1, -1]);
});

test('a model without a mask runs one text at a time, because padding would be text', () => {
  assert.deepEqual(textSession(counting([IDS], [STATES]), PLAIN).signature.inputs[0]!.shape, [1, -1]);
});

test('a classifier has its own outputs, without those by token', async () => {
  const settings = withSettings({ task: found('classification' as const) });
  const logits: TensorSpec = { name: 'logits', dtype: 'float32', shape: [-1, 3] };
  const session = textSession(counting([IDS, MASK], [STATES, logits]), settings);
  const outputs = await session.run(feedsOf([3, 2]));
  assert.deepEqual(
    session.signature.outputs.map(({ name }) => name),
    ['logits', 'tokens', 'truncated'],
  );
  assert.deepEqual(
    outputs.map(({ slot, dims }) => [slot, dims]),
    [
      [0, [2, 3]],
      [1, [2]],
      [2, [2]],
    ],
  );
});

test('outputs by token of a model without a task have the width of the row, whatever rows are beside it', async () => {
  const session = textSession(counting([IDS, MASK], [STATES]), withSettings({ task: undefined }));
  const [states] = await session.run(feedsOf([3, 2]));
  assert.deepEqual(states!.dims, [2, 8, 2]);
  const logits: TensorSpec = { name: 'start_logits', dtype: 'float32', shape: [-1, -1] };
  let width = 0;
  const run = async ([ids]: readonly SlottedTensor[]): Promise<SlottedTensor[]> => {
    width = ids!.dims[1]!;
    return [{ slot: 0, dtype: 'float32', dims: ids!.dims, data: new Float32Array(ids!.data.length) }];
  };
  const answering = { ...counting([IDS, MASK], [logits]), run };
  await textSession(answering, withSettings({ task: undefined })).run(feedsOf([3, 2]));
  assert.equal(width, 8);
});

test('an export that takes no token ids, or something else beside them, fails the load with its name', () => {
  const open = (inputs: readonly TensorSpec[], outputs = [STATES], preparation = PLAIN) =>
    assert.throws(() => textSession(counting(inputs, outputs), preparation), matcher);
  let matcher = /a model of texts has an input input_ids, and this one has pixel_values: export it again/;
  open([input('pixel_values')]);
  matcher = /input past_key_values\.0\.key: a model of texts has the inputs input_ids, .*: export it without this one/;
  open([IDS, MASK, input('past_key_values.0.key', 'float32', [-1, 2, -1, 4])]);
  matcher = /input attention_mask is float32: expected int64 or int32/;
  open([IDS, input('attention_mask', 'float32')]);
  matcher = /input input_ids has the shape \[-1\]: expected two dimensions, texts and tokens/;
  open([input('input_ids', 'int64', [-1]), MASK]);
  matcher = /input input_ids takes 8 texts in each run: export it for any number, or for 1/;
  open([input('input_ids', 'int64', [8, -1]), MASK]);
  matcher = /a model of embeddings has an output of texts, tokens and values, and this one has score \[-1\]/;
  open([IDS, MASK], [{ name: 'score', dtype: 'float32', shape: [-1] }]);
  matcher =
    /a model for reranking has an output with a row for each text, and this one has last_hidden_state \[-1,-1,2\]/;
  open([IDS, MASK], [STATES], withSettings({ task: found('reranking' as const) }));
  matcher = /output tokens: this server adds one of this name: rename it/;
  open([IDS, MASK], [{ ...STATES, name: 'tokens' }], withSettings({ task: undefined }));
});

test('an output that is not used may have any shape', async () => {
  const layers: TensorSpec = { name: 'layers', dtype: 'float32', shape: [5] };
  const session = textSession(counting([IDS, MASK], [layers, STATES]), PLAIN);
  const [embedding] = await session.run(feedsOf([3], 8, 0, 1));
  assert.deepEqual(numbers(embedding), [2, 3]);
});

test('an output that has not a row for each text fails the run with its name and shape', async () => {
  const odd = { ...STATES, shape: [5, -1, 2] };
  await assert.rejects(textSession(counting([IDS, MASK], [odd]), PLAIN).run(feedsOf([3, 2])), {
    message: 'output last_hidden_state has the shape [5,3,2] for 2 texts: expected one row for each text',
  });
  const transposed = { ...STATES, shape: [-1, 2, -1] };
  await assert.rejects(textSession(counting([IDS, MASK], [transposed]), PLAIN).run(feedsOf([3, 3])), {
    message: 'output last_hidden_state has the shape [2,2,3]: expected [2,3,values] or [2,values]',
  });
});
