import { basename } from 'node:path';
import { ServingError } from '../../errors.ts';
import { type EditableModel, fileOf, openModel } from '../../onnx/edit/open-model.ts';
import { writeModel } from '../../onnx/edit/write-model.ts';
import { comparisonLines } from '../compare/comparison-text.ts';
import { whyBeyond } from '../compare/tolerance.ts';
import { type BeforeAfter, compareResult, loadLine, tryOriginal, whyUnequal } from '../edited/before-after.ts';
import { stage, targetOf } from '../edited/target.ts';
import { findLocalModel } from '../samples/local-model.ts';
import { formatBytes, formatCount, formatNumberOf, formatShare } from '../terminal/format.ts';
import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import { gzipSize } from './gzip-size.ts';
import { countNodes, type Pruned, pruneModel } from './prune-model.ts';
import { type Sparsified, sparsify } from './sparsity.ts';

/** The options of the command line. */
export interface PruneArguments {
  readonly output?: string;
  readonly force?: boolean;
  readonly outputs?: readonly string[];
  readonly sparsity?: number;
  readonly externalData?: boolean;
  readonly samples?: string;
  readonly tolerance?: number;
  readonly json?: boolean;
}

/** Rounding: onnxruntime fuses other nodes once an Identity between them is gone. */
const TOLERANCE = 1e-4;

/** The weights after magnitude pruning, and what compression makes of both models. */
interface Sparsity extends Sparsified {
  readonly gzipBefore: number;
  readonly gzipAfter: number;
}

/**
 * Prunes a model, compares the result with it, and gives the result its place.
 * @throws ServingError if one of these fails; nothing is left of the result then
 */
export async function runPrune(path: string, options: PruneArguments, context: VerbContext): Promise<Outcome> {
  const { outputs, sparsity, externalData, samples } = options;
  const { progress, signal, onEnd } = context;
  const original = await findLocalModel(path);
  const model = openModel(original.path);
  const target = targetOf(original.path, {
    output: options.output,
    label: 'pruned',
    force: options.force,
    data: model.external.map((location) => fileOf(model, location)),
  });
  const before = countNodes(model);
  progress.step('comparing initializers');
  const pruned = await pruneModel(model, { outputs, onProgress: progress.update, signal });
  const nodes = { before, after: countNodes(model) };
  const tried = await tryOriginal({ original, samples, progress, signal });
  const staging = await stage(target, onEnd);
  if (sparsity !== undefined) progress.step('finding the smallest weights');
  const zeroed =
    sparsity === undefined
      ? undefined
      : await sparsify(model, { share: sparsity, onProgress: progress.update, signal });
  progress.step(`writing ${basename(target)}`);
  const { files } = await writeModel(model, staging.path, {
    ...(externalData !== undefined && { externalData }),
    onProgress: progress.update,
    signal,
  });
  const measured = await compareResult(tried, staging.path);
  const fault = whyRefused(measured, pruned, options);
  if (fault !== undefined) throw new ServingError('INVALID_INPUT', `${target} was not written: ${fault}`);
  const compressed = zeroed && { ...zeroed, ...(await compress(model, files, context)) };
  await staging.publish();
  return {
    lines: [
      `wrote ${target}: ${formatCount(nodes.after)} nodes, before ${formatCount(nodes.before)}`,
      ...removedLines(pruned),
      ...(compressed === undefined ? [] : sparsityLines(compressed)),
      loadLine(measured),
      '',
      ...comparisonLines(measured.comparison),
      `the rows are from ${measured.rowsFrom}`,
    ],
    json: {
      file: target,
      nodes,
      removed: jsonOf(pruned),
      ...(compressed && { sparsity: compressed }),
      ...figuresOf(measured),
    },
  };
}

/** Why the result must not get its place; undefined if it may. */
function whyRefused(
  { comparison }: BeforeAfter,
  { outputs }: Pruned,
  { sparsity, tolerance }: PruneArguments,
): string | undefined {
  if (sparsity === undefined) return whyUnequal(comparison, tolerance ?? TOLERANCE);
  if (tolerance === undefined) return undefined;
  const missing = comparison.missing.filter((name) => !outputs.includes(name));
  return whyBeyond({ ...comparison, missing }, tolerance);
}

async function compress(model: EditableModel, written: readonly string[], { progress, signal }: VerbContext) {
  const original = [model.path, ...model.external.map((location) => fileOf(model, location))];
  const sizes: number[] = [];
  for (const [what, files] of [
    ['original', original],
    ['result', written],
  ] as const) {
    progress.step(`compressing the ${what}`);
    sizes.push(await gzipSize(files, { onProgress: progress.update, signal }));
  }
  return { gzipBefore: sizes[0]!, gzipAfter: sizes[1]! };
}

function removedLines(pruned: Pruned): string[] {
  const {
    outputs,
    passThroughs,
    nodes,
    functions,
    training,
    initializers,
    duplicates,
    unusedInputs,
    trainingDropouts,
  } = pruned;
  const removed = [
    [outputs.length, 'output'],
    ...[...passThroughs].map(([operator, count]) => [count, `${operator} node`] as const),
    [nodes, 'unused node'],
    [functions.length, 'unused function'],
    [initializers, 'unused initializer'],
    [training.steps, 'training step'],
    [training.outputs, 'output of training', 'outputs of training'],
    [training.attributes, 'attribute of training', 'attributes of training'],
  ] as const;
  const parts = removed
    .filter(([count]) => count > 0)
    .map(([count, noun, plural]) => formatNumberOf(count, noun, plural));
  if (duplicates.count > 0)
    parts.push(
      `${formatNumberOf(duplicates.count, 'second copy', 'second copies')} of initializers (${formatBytes(duplicates.bytes)})`,
    );
  return [
    parts.length === 0 ? 'there was nothing to remove' : `removed ${parts.join(', ')}`,
    ...unusedInputs.map((name) => `input ${name} is not read; it stays, because callers give it`),
    ...trainingDropouts.map(
      (name) => `${name} is in training, so its output is random: export the model for inference`,
    ),
  ];
}

function sparsityLines({ tensors, elements, zeros, skipped, gzipBefore, gzipAfter }: Sparsity): string[] {
  if (tensors === 0) return ['no weights of layers were found: nothing became zero'];
  const share = formatShare(zeros / Math.max(1, elements));
  return [
    `${share} of ${formatNumberOf(elements, 'weight')} in ${formatNumberOf(tensors, 'tensor')} are zero`,
    ...(skipped > 0
      ? [`${formatNumberOf(skipped, 'tensor')} of other types than float32 and float16 stay as they are`]
      : []),
    `compressed by gzip: ${formatBytes(gzipAfter)}, before ${formatBytes(gzipBefore)}. Runs are not faster: the zeros are multiplied too`,
  ];
}

function jsonOf({ passThroughs, ...rest }: Pruned) {
  return { ...rest, passThroughs: Object.fromEntries(passThroughs) };
}

function figuresOf({ original, result, comparison, rowsFrom }: BeforeAfter) {
  return { loads: { original, result }, comparison, rowsFrom };
}
