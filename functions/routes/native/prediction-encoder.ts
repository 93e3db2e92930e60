import { ALL_ROWS } from '../../engine/batcher.ts';
import { outputOf } from '../../model/folder/manifest.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { encodeJson, encodeNested, encodeRow } from '../../tensor/encode.ts';
import { type DType, type Tensor, type TensorSpec, valuesOf } from '../../tensor/tensor.ts';
import { type Answer, type AnsweringGeneration, answerOf, createAnswerWriter, spanOf } from './answer.ts';

/** Encodes a row's outputs as the JSON of the native contract. */
export interface PredictionEncoder {
  /** The values of `label`, by class index: the manifest's, or the model's own; undefined if there are none. */
  readonly labels: readonly string[] | undefined;
  /** How a row becomes scores of labels; undefined: `prediction` is the model's own value. */
  readonly answer?: Answer | undefined;
  /**
   * The members of a prediction, without the braces: `"prediction":…,"label":…,"outputs":{…}`; with an answer, `scores` instead of
   * `label`.
   * @param outputs in the order of the signature.
   * @param row the index of the row in the outputs; `ALL_ROWS` if all of them belong to the row that was fed.
   * @param isRow whether the caller sent one row: the outputs' first dimension is left out if it is that of the rows.
   */
  encode(outputs: readonly Tensor[], row: number, isRow: boolean): string;
}

/** The parts of a generation that its predictions are encoded by. */
export type EncodedGeneration = Pick<Generation, 'joinsRows' | 'labelled'> & AnsweringGeneration;

/** An output of scores for which the model itself has class labels. */
type LabelledOutput = Generation['labelled'][number];

const encoders = new WeakMap<object, PredictionEncoder>();

/** The encoder of a generation. It is made once, and again when the generation stops joining rows. */
export function predictionEncoderOf(live: Generation): PredictionEncoder {
  let encoder = encoders.get(live.rows);
  if (encoder === undefined) {
    encoder = createPredictionEncoder(live);
    encoders.set(live.rows, encoder);
  }
  return encoder;
}

/**
 * Makes an encoder. `prediction` is the row's value of the manifest's `output`, else of the first output. If the manifest names
 * the classes, there is a `label` when the prediction is a class index, or a score for each class. If only the model names them,
 * there is a `label` when the prediction is one of the model's labels, or a score for each. With an answer, the prediction is that of
 * `createAnswerWriter`.
 */
export function createPredictionEncoder(generation: EncodedGeneration): PredictionEncoder {
  const { signature, manifest, joinsRows, labelled } = generation;
  const { classes } = manifest;
  const mainName = outputOf(manifest).name;
  const main = Math.max(
    0,
    signature.outputs.findIndex(({ name }) => name === mainName),
  );
  const keys = signature.outputs.map(({ name }, i) => `${i === 0 ? '' : ','}${JSON.stringify(name)}:`);
  const names = classes ?? ownLabels(labelled, signature.outputs[main]);
  const labels = names?.map((name) => `,"label":${JSON.stringify(name)}`);
  const choose = classes === undefined ? ownClassOf(names ?? []) : classOf;
  const isJson = signature.outputs.map(({ json }) => json === true);
  const hasJson = isJson.includes(true);
  const answer = answerOf(generation, main, names);
  const writeAnswer = answer && createAnswerWriter(answer);

  const byRow = ({ dims }: Tensor, isRow: boolean, row: number): boolean =>
    isRow && row !== ALL_ROWS && (joinsRows || dims[0] === 1);

  return {
    labels: names,
    answer,
    encode(outputs, row, isRow) {
      let members = '';
      let prediction = '';
      for (let slot = 0; slot < outputs.length; slot++) {
        const tensor = outputs[slot]!;
        let text: string;
        if (hasJson && isJson[slot]) text = encodeJson(tensor, byRow(tensor, isRow, row) ? row : -1);
        else text = byRow(tensor, isRow, row) ? encodeRow(tensor, row) : encodeNested(tensor);
        if (slot === main) prediction = text;
        members += keys[slot] + text;
      }
      if (labels === undefined && writeAnswer === undefined) return `"prediction":${prediction},"outputs":{${members}}`;
      const chosen = outputs[main]!;
      const at = byRow(chosen, isRow, row) ? row : -1;
      const answered = writeAnswer?.(chosen, at);
      if (answered !== undefined) return `${answered},"outputs":{${members}}`;
      const index = labels === undefined ? -1 : choose(chosen, at, labels.length);
      const label = index === -1 ? '' : (labels![index] ?? '');
      return `"prediction":${prediction}${label},"outputs":{${members}}`;
    },
  };
}

/** The index of the class of a row of the main output, or -1. `row` is -1 for the entire output. */
type Choose = (main: Tensor, row: number, classes: number) => number;

/** The main output holds a class index, or a score for each class. */
const classOf: Choose = (main, row, classes) => {
  const { first, width } = spanOf(main, row);
  if (width !== 1) return highest(main, first, width, classes);
  if (main.dtype === 'string') return -1;
  const index = Number(valuesOf(main)[first]);
  return Number.isInteger(index) ? index : -1;
};

/** The main output holds one of the model's labels, which may be any integers or texts, or a score for each. */
function ownClassOf(labels: readonly string[]): Choose {
  const indices = new Map(labels.map((label, index) => [label, index]));
  return (main, row, classes) => {
    const { first, width } = spanOf(main, row);
    if (!isLabel(main.dtype)) return highest(main, first, width, classes);
    return width === 1 ? (indices.get(String(main.data[first])) ?? -1) : -1;
  };
}

/**
 * The labels for the main output: its own, or, if its values are labels, those of the model's one output with scores. If several
 * outputs have scores, it is not known whose labels the main output has.
 */
function ownLabels(labelled: readonly LabelledOutput[], main: TensorSpec | undefined): readonly string[] | undefined {
  const own = labelled.find(({ output }) => output === main?.name);
  if (own === undefined && labelled.length === 1 && main && isLabel(main.dtype)) return labelled[0]!.labels;
  return own?.labels;
}

const isLabel = (dtype: DType): boolean => dtype === 'int64' || dtype === 'string';

/** The index of the first of the highest scores, or -1 unless there is a score for each class. */
function highest(main: Tensor, first: number, width: number, classes: number): number {
  if (width !== classes || !main.dtype.startsWith('float')) return -1;
  const data = valuesOf(main);
  let best = first;
  for (let i = first; i < first + width; i++) if (Number(data[i]) > Number(data[best])) best = i;
  return best - first;
}
