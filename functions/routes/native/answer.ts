import { ServingError } from '../../errors.ts';
import { outputOf } from '../../model/folder/manifest.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { type Activation, type Floats, sigmoid, softmaxRows } from '../../tensor/activation.ts';
import { encodeFlat, encodeValue } from '../../tensor/encode.ts';
import { highestOf } from '../../tensor/highest.ts';
import { float16View, type NumericData, type Tensor, type TensorSpec, valuesOf } from '../../tensor/tensor.ts';

/** How a row of the main output becomes the scores of labels. */
export interface Answer {
  /** The index of the main output in the signature. */
  readonly slot: number;
  /** By class index; undefined if the classes have no names. */
  readonly labels: readonly string[] | undefined;
  /** With `sigmoid` any number of labels may hold, otherwise one. */
  readonly activation: Activation;
  /** The most labels of a response. */
  readonly top: number | undefined;
  /** The least score of a label in a response. */
  readonly threshold: number | undefined;
}

/** The parts of a generation that say how it answers. */
export type AnsweringGeneration = Pick<Generation, 'signature' | 'manifest'> & Partial<Pick<Generation, 'preparation'>>;

/** The labels of a response if the manifest has no `top`. */
const DEFAULT_TOP = 5;
/** With sigmoid, the least score of a label that holds. */
const DEFAULT_THRESHOLD = 0.5;

/**
 * The effective options of a model's answers: those of the manifest's `output`, its `activation`, and what its export says, in this
 * order. Undefined if none of `activation`, `top` and `threshold` is in `output` and no export says it, or if the main output has
 * not a row of floats: then responses have the model's own values.
 * @param slot the index of the main output
 * @param labels the names of its classes
 */
export function answerOf(
  { signature, manifest, preparation }: AnsweringGeneration,
  slot: number,
  labels: readonly string[] | undefined,
): Answer | undefined {
  const { activation, top, threshold } = outputOf(manifest);
  const exported = exportedActivation(preparation, labels);
  const isChosen = activation !== undefined || top !== undefined || threshold !== undefined;
  if ((!isChosen && exported === undefined) || !hasScores(signature.outputs[slot])) return undefined;
  return { slot, labels, activation: activation ?? manifest.activation ?? exported ?? 'none', top, threshold };
}

function exportedActivation(
  preparation: Generation['preparation'],
  labels: readonly string[] | undefined,
): Activation | undefined {
  if (preparation?.kind === 'picture') return labels === undefined ? undefined : 'softmax';
  if (preparation?.kind !== 'text') return undefined;
  const task = preparation.settings.task?.value;
  return task === 'classification' || task === 'reranking' ? preparation.settings.activation?.value : undefined;
}

const hasScores = (main: TensorSpec | undefined): boolean =>
  main?.dtype.startsWith('float') === true && (main.anyRank === true || main.shape.length <= 2);

/**
 * The scores of all labels of a row, by class index; of one score, that alone.
 * @param outputs in the order of the signature
 * @param row the index of the row in the outputs; `ALL_ROWS` if all of them belong to the row that was fed
 * @param options.raw the model's own values, without the activation
 * @throws ServingError `MODEL_FAILED` if a row has another number of scores than there are labels
 */
export function scoresOf(
  outputs: readonly Tensor[],
  row: number,
  answer: Answer,
  { raw = false }: { readonly raw?: boolean | undefined } = {},
): Floats {
  const main = outputs[answer.slot]!;
  const scores = scoresAt(main, row, raw ? { ...answer, activation: 'none' } : answer);
  if (scores === undefined) {
    const message = `the model gave scores of shape [${main.dims.join(', ')}], and has ${answer.labels?.length} labels`;
    throw new ServingError('MODEL_FAILED', message);
  }
  return scores.dtype === 'float16' ? Float32Array.from(float16View(scores.data)) : (scores.data as Floats);
}

/** The values of a row of a tensor, of which `width` from `first` on; `row` is negative for the entire tensor. */
export function spanOf({ data, dims }: Tensor, row: number): { first: number; width: number } {
  const width = row < 0 ? data.length : data.length / (dims[0] ?? 1);
  return { first: Math.max(0, row) * width, width };
}

/** The scores of a row as a vector; undefined unless there is one, or one for each label. */
function scoresAt(main: Tensor, row: number, { labels, activation }: Answer): Tensor | undefined {
  const { first, width } = spanOf(main, row);
  if (width !== 1 && width !== (labels?.length ?? main.dims.at(-1))) return undefined;
  const { dtype } = main;
  const data = (main.data as NumericData).subarray(first, first + width);
  if (activation === 'none') return { dtype, dims: [width], data };
  const values = dtype === 'float16' ? Float32Array.from(float16View(data)) : (data as Floats);
  const scores = activation === 'softmax' ? softmaxRows(values, width) : sigmoid(values);
  return { dtype: dtype === 'float16' ? 'float32' : dtype, dims: [width], data: scores };
}

/** A threshold as a value of the scores' dtype: 0.7 is more than the float32 that is written as 0.7. */
const ROUND: Readonly<Record<string, (threshold: number) => number>> = {
  float16: Math.f16round,
  float32: Math.fround,
  float64: (threshold) => threshold,
};

/**
 * Makes the writer of a row's answer: the members `prediction` and, if there are several scores with labels, `scores`.
 * @returns takes the main output and a row as {@link spanOf} does; gives undefined if a row has another number of scores than there are
 * labels
 */
export function createAnswerWriter(answer: Answer): (main: Tensor, row: number) => string | undefined {
  const { labels, activation, threshold, top } = answer;
  const texts = labels?.map((label) => JSON.stringify(label.toWellFormed()));
  const isMulti = activation === 'sigmoid';
  return (main, row) => {
    const scores = scoresAt(main, row, answer);
    if (scores === undefined) return undefined;
    if (scores.data.length === 1) return `"prediction":${encodeValue(scores, 0)}`;
    if (texts === undefined) return `"prediction":${encodeFlat(scores)}`;
    const values = valuesOf(scores) as ArrayLike<number>;
    const least = ROUND[scores.dtype]!(threshold ?? DEFAULT_THRESHOLD);
    const predicted = isMulti ? countFrom(values, least) : 1;
    const shown = top ?? Math.max(DEFAULT_TOP, predicted);
    const order = highestOf(values, Math.max(shown, predicted));
    const best = order[0]!;
    const one = Number.isNaN(values[best]) ? 'null' : texts[best];
    const held = order.slice(0, predicted).map((index) => texts[index]);
    const scored = order
      .slice(0, shown)
      .filter((index) => threshold === undefined || values[index]! >= least)
      .map((index) => `{"label":${texts[index]},"score":${encodeValue(scores, index)}}`);
    return `"prediction":${isMulti ? `[${held.join(',')}]` : one},"scores":[${scored.join(',')}]`;
  };
}

function countFrom(values: ArrayLike<number>, least: number): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! >= least) count++;
  return count;
}
