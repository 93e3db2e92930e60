import { ServingError } from '../../errors.ts';
import { decodeNested } from '../../tensor/decode.ts';
import type { Signature, TensorSpec } from '../../tensor/tensor.ts';
import { type Manifest, outputOf } from '../folder/manifest.ts';

/**
 * Checks `model.json` against the model's signature.
 * @param labelled the outputs for which the model's file has class labels, if they are known
 * @throws ServingError `MODEL_FAILED` that names the field, its value and what the model has
 */
export function checkManifest(
  manifest: Manifest,
  { inputs, outputs }: Signature,
  labelled?: readonly { readonly output: string; readonly labels: readonly string[] }[],
): void {
  const { input, activation, batching, classes } = manifest;
  const output = outputOf(manifest).name;
  // Outputs are not checked: exporters often declare a fixed first dimension that is free, and the manifest overrides them.
  const fixed = inputs.find(({ shape }) => shape[0] !== -1);
  if (batching === true && fixed !== undefined) {
    const has = `${fixed.name} has ${fixed.anyRank ? 'no fixed rank' : `shape [${fixed.shape.join(', ')}]`}`;
    throw misfit(`"batching": true needs a free first dimension (-1) in every input, but ${has}; leave it out`);
  }
  const main = output === undefined ? outputs[0] : outputs.find(({ name }) => name === output);
  if (main === undefined) {
    const names = outputs.map(({ name }) => name).join(', ');
    throw misfit(`output: the model has no output ${output}; it has ${names}`);
  }
  const width = inputs[0]?.anyRank ? -1 : (inputs[0]?.shape.at(-1) ?? 1);
  const named = input?.features?.length;
  if (named !== undefined && (inputs.length !== 1 || (width !== -1 && width !== named))) {
    const has = inputs.length === 1 ? `a row has ${width} values` : `the model has ${inputs.length} inputs`;
    throw misfit(`input.features names ${named} values, but ${has}`);
  }
  if (classes !== undefined) checkClasses(classes.length, main);
  if (activation !== undefined && !main.dtype.startsWith('float'))
    throw misfit(`activation is for scores of floats, but the output ${main.name} is ${main.dtype}: leave it out`);
  checkAnswer(manifest, main, labelled);
  checkCategories(input, inputs);
}

/** Checks the members of `output` that make scores of the main output. */
function checkAnswer(
  manifest: Manifest,
  { name, dtype, shape, anyRank }: TensorSpec,
  labelled: Parameters<typeof checkManifest>[2],
): void {
  const { activation, top, threshold } = outputOf(manifest);
  const field = Object.entries({ activation, top, threshold }).find(([, value]) => value !== undefined)?.[0];
  if (field === undefined) return;
  if (activation !== undefined && manifest.activation !== undefined)
    throw misfit('activation is there beside output.activation: leave the former out');
  if (!dtype.startsWith('float'))
    throw misfit(`output.${field} is for scores of floats, but the output ${name} is ${dtype}: leave it out`);
  if (shape.length > 2) {
    const has = `the output ${name} has shape [${shape.join(', ')}]`;
    throw misfit(`output.${field} is for one row of scores, but ${has}: leave it out`);
  }
  const isOne =
    anyRank !== true && (shape.length === 0 || shape.at(-1) === 1 || (shape.length === 1 && shape[0] === -1));
  if (isOne && activation === 'softmax')
    throw misfit(
      `output.activation: the output ${name} has one score, whose softmax is always 1: "sigmoid" may be meant`,
    );
  if (top === undefined && threshold === undefined) return;
  const choosing = top === undefined ? 'threshold' : 'top';
  if (isOne)
    throw misfit(`output.${choosing} chooses among labels, but the output ${name} has one score: leave it out`);
  const own = labelled?.find((one) => one.output === name)?.labels;
  const labels = (manifest.classes ?? own)?.length;
  if (labels === undefined && labelled !== undefined)
    throw misfit(`output.${choosing} chooses among labels, and the model has none: name them in classes`);
  if (top !== undefined && labels !== undefined && top > labels)
    throw misfit(`output.top is ${top}, and the model has ${labels} labels: lower it or leave it out`);
}

/** Checks that each name is that of a feature or an input, and each value one of its dtype. */
function checkCategories(input: Manifest['input'], inputs: Signature['inputs']): void {
  for (const [name, values] of Object.entries(input?.categories ?? {})) {
    const spec = input?.features?.includes(name) ? inputs[0] : inputs.find((one) => one.name === name);
    if (spec === undefined) throw misfit(`input.categories: the model has no feature and no input ${name}`);
    const type = spec.dtype === 'string' ? 'string' : 'number';
    const other = values.find((value) => (typeof value === 'string') !== (type === 'string'));
    if (spec.dtype === 'bool' || other !== undefined) {
      const what = spec.dtype === 'bool' ? 'leave it out' : `a ${type} is needed, not ${JSON.stringify(other)}`;
      throw misfit(`input.categories: ${name} is ${spec.dtype}: ${what}`);
    }
    try {
      decodeNested(values, spec.dtype, [values.length], `input.categories.${name}`);
    } catch (error) {
      throw misfit((error as ServingError).message);
    }
  }
}

/** Checks the number of classes. Floats are a score for each class; one column is a class index, and rank 3 or more has no scores. */
function checkClasses(classes: number, { name, dtype, shape }: Signature['outputs'][number]): void {
  const scores = shape.at(-1) ?? -1;
  if (!dtype.startsWith('float') || shape.length > 2 || scores === -1 || scores === 1 || scores === classes) return;
  throw misfit(`classes names ${classes} classes, but the output ${name} has ${scores} scores: name one for each`);
}

function misfit(message: string): ServingError {
  return new ServingError('MODEL_FAILED', `model.json: ${message}`);
}
