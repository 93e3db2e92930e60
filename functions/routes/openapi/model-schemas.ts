import { outputOf } from '../../model/folder/manifest.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { TensorSpec } from '../../tensor/tensor.ts';
import type { Answer } from '../native/answer.ts';
import type { PredictionEncoder } from '../native/prediction-encoder.ts';
import { anyNested, anyOf, ELEMENTS, type Json, nested, record, ref } from './json-schema.ts';

/** The parts of a model from which its schemas are made. */
export type Typed = Pick<Generation, 'signature' | 'manifest' | 'joinsRows'> &
  Pick<PredictionEncoder, 'labels' | 'answer'>;

/** The schemas `Features`, `Prediction` and `BatchPrediction` of one model, and those of the dtypes that they reference. */
export function modelSchemas({ signature, manifest, joinsRows, labels, answer }: Typed): Json {
  const { inputs, outputs } = signature;
  const mainName = outputOf(manifest).name;
  const main = outputs.find(({ name }) => name === mainName) ?? outputs[0];
  // Scores of a float16 are float32.
  const dtypes = new Set([...inputs, ...outputs].map(({ dtype }) => dtype).concat(answer ? ['float32'] : []));
  const members = {
    ...(main && answer ? answerSchemas(answer, main, joinsRows) : ownSchemas(main, labels, joinsRows)),
    outputs: record(Object.fromEntries(outputs.map((spec) => [spec.name, outputSchema(spec, joinsRows)]))),
  };
  return {
    Features: { description: 'One row.', ...featuresSchema(inputs, manifest.input?.features, joinsRows) },
    ...predictionSchemas(members),
    ...Object.fromEntries([...dtypes].map((dtype) => [dtype, ELEMENTS[dtype]])),
  };
}

/** The schemas `AnyFeatures`, `AnyPrediction` and `AnyBatchPrediction`, which hold for every model. */
export function anySchemas(): Json {
  const scores = scoresSchema({ type: 'string' }, ELEMENTS.float64);
  const members = { prediction: {}, label: { type: 'string' }, scores, outputs: { type: 'object' } };
  return { AnyFeatures: { description: "A row, in the form that the model's inputs have." }, ...named(members) };
}

function predictionSchemas(members: Json): Json {
  return {
    Prediction: record({ ...members, model: ref('ModelVersion') }, ['label', 'scores']),
    BatchPrediction: record({ index: ref('Index'), ...members }, ['label', 'scores']),
  };
}

/** `prediction` and `label` of a model whose responses have its own values. */
function ownSchemas(main: TensorSpec | undefined, labels: Typed['labels'], joinsRows: boolean): Json {
  return {
    prediction: main === undefined ? {} : outputSchema(main, joinsRows),
    ...(labels !== undefined && { label: { enum: [...new Set(labels)], description: 'The class.' } }),
  };
}

/** `prediction` and `scores` as `routes/native/answer.ts` writes them. */
function answerSchemas({ labels, activation }: Answer, main: TensorSpec, joinsRows: boolean): Json {
  const score = ref(main.dtype === 'float16' && activation !== 'none' ? 'float32' : main.dtype);
  const row = joinsRows ? main.shape.slice(1) : main.shape;
  const width = main.anyRank ? -1 : (row.at(-1) ?? 1);
  // An entire tensor, or a row of another length than there are labels, has the model's own values.
  const open = width === -1 || !joinsRows ? [score, outputSchema(main, joinsRows)] : [];
  if (width === 1) return { prediction: anyOf(open.length === 0 ? [score] : open) };
  if (labels === undefined) return { prediction: anyOf([{ type: 'array', items: score }, ...open]) };
  const label = { enum: [...new Set(labels)] };
  const prediction =
    activation === 'sigmoid'
      ? { type: 'array', items: label, description: 'The labels that hold, the highest score first.' }
      : { enum: [...label.enum, null], description: 'The label with the highest score; null if no score is a number.' };
  return { prediction: anyOf([prediction, ...open]), scores: scoresSchema(label, score) };
}

function scoresSchema(label: Json, score: Json): Json {
  return { type: 'array', items: record({ label, score }), description: 'The highest first.' };
}

function named(members: Json): Json {
  return Object.fromEntries(Object.entries(predictionSchemas(members)).map(([name, schema]) => [`Any${name}`, schema]));
}

function featuresSchema(
  inputs: readonly TensorSpec[],
  features: readonly string[] | undefined,
  joinsRows: boolean,
): Json {
  const byInput = record(Object.fromEntries(inputs.map((spec) => [spec.name, inputSchema(spec, joinsRows)])));
  const [only] = inputs;
  if (inputs.length !== 1 || only === undefined) return byInput;
  if (only.json) return { description: "Any JSON that the model's own code takes." };
  const forms = [inputSchema(only, joinsRows), byInput];
  if (features !== undefined) {
    const value = nested(only.dtype, only.shape.slice(2));
    // Before the form by input: viewers show the first form with names.
    forms.splice(1, 0, record(Object.fromEntries(features.map((name) => [name, value]))));
  }
  return { anyOf: forms.flatMap((form) => (Array.isArray(form.anyOf) ? (form.anyOf as Json[]) : [form])) };
}

/** See `bytesOf` of tensor/base64.ts. */
const BYTES: Json = anyOf([
  {
    type: 'string',
    contentEncoding: 'base64',
    description: 'The bytes of a file, as base64, or as a data: URL of base64.',
  },
  record({ b64: { type: 'string', contentEncoding: 'base64' } }),
]);

/** The forms of an input that `model/folder/rows.ts` accepts: a row, a column's value without brackets, or the entire tensor. */
function inputSchema({ dtype, shape, anyRank, bytes }: TensorSpec, joinsRows: boolean): Json {
  if (bytes === true) return BYTES;
  if (anyRank) return anyNested(dtype);
  const canBeRow = shape[0] === -1 || shape[0] === 1;
  if (!canBeRow) return nested(dtype, shape);
  const row = shape.slice(1);
  const forms = [nested(dtype, row)];
  if (row.length > 0 && row.every((dim) => dim === 1)) forms.push(ref(dtype));
  // No row at all is read as an empty row.
  if (!joinsRows) forms.push(shape[0] === -1 ? { ...nested(dtype, shape), minItems: 1 } : nested(dtype, shape));
  return anyOf(forms);
}

/** The form of an output that `routes/native/prediction-encoder.ts` writes: its row, or all of it if its first dimension is not that of the rows. */
function outputSchema({ dtype, shape, anyRank, json }: TensorSpec, joinsRows: boolean): Json {
  if (json) return { description: 'Any JSON.' };
  if (anyRank) return anyNested(dtype);
  const row = nested(dtype, shape.slice(1));
  if (joinsRows) return row;
  const entire = nested(dtype, shape);
  return shape[0] === -1 || shape[0] === 1 ? anyOf([row, entire]) : entire;
}
