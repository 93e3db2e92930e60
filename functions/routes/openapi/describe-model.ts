import { preparationDocument } from '../../model/folder/export/describe.ts';
import { outputOf } from '../../model/folder/manifest.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { toPlain } from '../../tensor/json/plain.ts';
import type { JsonValue } from '../../tensor/json/reader.ts';
import { predictionEncoderOf } from '../native/prediction-encoder.ts';
import type { Examples } from './document-context.ts';
import type { Json } from './json-schema.ts';

/** The description of a model from which the page makes its form: `x-model` of the OpenAPI document. */
export function describeModel(live: Generation, examples: Examples | undefined): Json {
  const { name, version, manifest, signature, joinsRows, preparation } = live;
  const { input, activation, description } = manifest;
  const { labels, answer } = predictionEncoderOf(live);
  return {
    name,
    version,
    description,
    inputs: signature.inputs,
    outputs: signature.outputs,
    features: input?.features,
    categories: input?.categories && toPlain(input.categories as JsonValue),
    output: outputOf(manifest).name ?? signature.outputs[0]?.name,
    // Of what `outputs` has.
    activation: answer?.activation === 'softmax' ? 'softmax' : activation,
    classes: labels,
    ...(answer && { answer: { activation: answer.activation, top: answer.top, threshold: answer.threshold } }),
    batching: joinsRows,
    ...(preparation && { preparation: preparationDocument(preparation) }),
    ...(examples && { example: { features: examples.features } }),
  };
}
