import type { TensorSpec } from '../../tensor/tensor.ts';
import { normalizeRows, pool } from '../../text/pooling.ts';
import { firstPosition } from '../../text/positions.ts';
import type { TextSettings } from '../../text/settings.ts';
import type { SlottedTensor } from '../process/frame.ts';
import type { Session } from '../process/session.ts';
import { toFloats } from './floats.ts';
import type { TextPreparation } from './preparation.ts';
import { readTextInputs, type TokenRows } from './text-inputs.ts';
import { META, NOT_NORMALIZED } from './text-meta.ts';

/** The outputs that every model of texts has beside its own. */
const TOKENS = 'tokens';
const TRUNCATED = 'truncated';
/** The outputs of exports that are the embeddings of texts, and of their tokens. */
const SENTENCE_OUTPUTS = ['sentence_embedding'];
const TOKEN_OUTPUTS = ['last_hidden_state', 'token_embeddings'];

/** The rows of a run, with what `meta` has. */
interface TextRows extends TokenRows {
  /** Of {@link META}'s columns. */
  readonly meta: Int32Array;
}

/** Makes the outputs for callers of those of the model. */
interface Answer {
  readonly specs: readonly TensorSpec[];
  /** The model's outputs that it takes. */
  readonly slots: readonly number[];
  /** Whether an output has values for each token, so that its shape is by the length to which the rows are padded. */
  readonly byToken: boolean;
  make(outputs: readonly SlottedTensor[], rows: TextRows, length: number): Omit<SlottedTensor, 'slot'>[];
}

/**
 * A session whose inputs are token ids: `ids` int32 `[N, B]`, `types` uint8 `[N, B]` and `meta` int32 `[N, 4]` (see {@link META}). B is
 * the length to which rows are padded while they wait; the model gets them as long as the longest of the run.
 *
 * Its outputs: of an embedding model `embedding` float32 `[N, D]`, pooled and normalized here, unless the export does it itself in an
 * output `sentence_embedding`: then the embedding is as the export has it, and is normalized beyond that if its row says so. Of the
 * others their own; those of a classifier and of a reranker which have values for each token are left out. All have `tokens` int32 `[N]`
 * and `truncated` bool `[N]`.
 * @throws Error that names an input or an output which the model does not have as expected
 */
export function textSession(session: Session, { settings }: TextPreparation): Session {
  const inputs = readTextInputs(session.signature.inputs);
  const answer = readAnswer(session.signature.outputs, settings, inputs.batch);
  const padId = settings.padTokenId?.value ?? 0;
  const options = { padId, firstPosition: firstPosition(settings.modelType?.value, padId) };
  const { batch, length: fixed } = inputs;

  return {
    ...session,
    signature: {
      inputs: [
        { name: 'ids', dtype: 'int32', shape: [batch, fixed] },
        { name: 'types', dtype: 'uint8', shape: [batch, fixed] },
        { name: 'meta', dtype: 'int32', shape: [batch, META.columns] },
      ],
      outputs: [
        ...answer.specs,
        { name: TOKENS, dtype: 'int32', shape: [batch] },
        { name: TRUNCATED, dtype: 'bool', shape: [batch] },
      ],
    },
    async run(feeds) {
      const rows = rowsOf(feeds);
      const length = fixed !== -1 ? fixed : answer.byToken ? rows.width : Math.max(...rows.lengths);
      const outputs = await session.run(inputs.make(rows, length, options));
      for (const slot of answer.slots) {
        const { dims } = outputs[slot]!;
        if (dims[0] === rows.rows) continue;
        const { name } = session.signature.outputs[slot]!;
        const shape = `output ${name} has the shape [${dims}] for ${rows.rows} texts`;
        throw new Error(`${shape}: expected one row for each text`);
      }
      const truncated = rows.lengths.map((tokens, row) => (at(rows, row, META.untruncatedLength) > tokens ? 1 : 0));
      const all = [
        ...answer.make(outputs, rows, length),
        { dtype: 'int32', dims: [rows.rows], data: Int32Array.from(rows.lengths) },
        { dtype: 'bool', dims: [rows.rows], data: Uint8Array.from(truncated) },
      ] as const;
      return all.map((tensor, slot) => ({ ...tensor, slot }));
    },
  };
}

function rowsOf(feeds: readonly SlottedTensor[]): TextRows {
  const [ids, types, meta] = [0, 1, 2].map((slot) => feeds.find((feed) => feed.slot === slot)!);
  const [rows, width] = ids!.dims as [number, number];
  const values = meta!.data as Int32Array;
  const lengths = Array.from({ length: rows }, (_, row) => values[row * META.columns + META.length]!);
  return { ids: ids!.data as Int32Array, types: types!.data as Uint8Array, meta: values, rows, width, lengths };
}

const at = ({ meta }: TextRows, row: number, column: number): number => meta[row * META.columns + column]!;

function readAnswer(specs: readonly TensorSpec[], settings: TextSettings, batch: 1 | -1): Answer {
  const task = settings.task?.value;
  if (task === 'embedding') return readEmbedding(specs, settings, batch);
  const isByToken = ({ shape, anyRank }: TensorSpec): boolean => anyRank === true || shape.length > 2;
  const wantsTokens = task === undefined || task === 'token-classification';
  const own = specs.flatMap((spec, slot) => (wantsTokens || !isByToken(spec) ? [{ spec, slot }] : []));
  if (own.length === 0) {
    const shapes = specs.map(({ name, shape }) => `${name} [${shape}]`).join(', ');
    throw new Error(`a model for ${task} has an output with a row for each text, and this one has ${shapes}`);
  }
  const taken = own.find(({ spec: { name } }) => name === TOKENS || name === TRUNCATED);
  if (taken !== undefined) throw new Error(`output ${taken.spec.name}: this server adds one of this name: rename it`);
  return {
    specs: own.map(({ spec }) => spec),
    slots: own.map(({ slot }) => slot),
    // Of a model without a task, a free second dimension may be that of the tokens too: start_logits [texts, tokens].
    byToken: own.some(({ spec }) => isByToken(spec) || (task === undefined && spec.shape[1] === -1)),
    make: (outputs) => own.map(({ slot }) => outputs[slot]!),
  };
}

function readEmbedding(specs: readonly TensorSpec[], settings: TextSettings, batch: 1 | -1): Answer {
  const slot = embeddingSlot(specs, settings);
  const spec = specs[slot]!;
  const dimensions = spec.shape.at(-1) ?? settings.dimensions?.value ?? -1;
  return {
    specs: [{ name: 'embedding', dtype: 'float32', shape: [batch, dimensions] }],
    slots: [slot],
    byToken: false,
    make(outputs, rows, length) {
      const output = outputs[slot]!;
      const { dims } = output;
      const width = dims.at(-1)!;
      const values = toFloats(output);
      if (values === undefined)
        throw new Error(`output ${spec.name} is ${output.dtype}: expected numbers with a point`);
      if (dims.length !== 2 && (dims.length !== 3 || dims[1] !== length)) {
        const expected = `[${rows.rows},${length},values] or [${rows.rows},values]`;
        throw new Error(`output ${spec.name} has the shape [${dims}]: expected ${expected}`);
      }
      const embeddings =
        dims.length === 2
          ? Float32Array.from(values)
          : pool(
              settings.pooling?.value ?? 'mean',
              { values, rows: rows.rows, tokens: length, dimensions: width },
              poolingMask(rows, length, settings),
            );
      for (let row = 0; row < rows.rows; row++) {
        if ((at(rows, row, META.flags) & NOT_NORMALIZED) !== 0) continue;
        normalizeRows(embeddings.subarray(row * width, (row + 1) * width), width);
      }
      return [{ dtype: 'float32', dims: [rows.rows, width], data: embeddings }];
    },
  };
}

/** Where the embedding is: of the text, if the export has it; otherwise of its tokens. */
function embeddingSlot(specs: readonly TensorSpec[], { includePrompt }: TextSettings): number {
  const named = (names: readonly string[]) => specs.findIndex(({ name }) => names.includes(name));
  const ofRank = (rank: number) => specs.findIndex(({ shape }) => shape.length === rank);
  // The export's own pooling has the tokens of the prompt in it.
  const own = includePrompt?.value === false ? -1 : named(SENTENCE_OUTPUTS);
  const slot = [own, named(TOKEN_OUTPUTS), ofRank(3), ofRank(2)].find((candidate) => candidate !== -1);
  if (slot !== undefined) return slot;
  const shapes = specs.map(({ name, shape }) => `${name} [${shape}]`).join(', ');
  throw new Error(`a model of embeddings has an output of texts, tokens and values, and this one has ${shapes}`);
}

/** 1 for the tokens that take part in pooling: without those of the prompt, if the model's files say so. */
function poolingMask(rows: TextRows, length: number, { includePrompt }: TextSettings): Uint8Array {
  const mask = new Uint8Array(rows.rows * length);
  for (let row = 0; row < rows.rows; row++) {
    const from = includePrompt?.value === false ? at(rows, row, META.promptLength) : 0;
    mask.fill(1, row * length + Math.min(from, rows.lengths[row]!), row * length + rows.lengths[row]!);
  }
  return mask;
}
