import { ServingError } from '../../errors.ts';
import { fileOf, openModel } from '../../onnx/edit/open-model.ts';
import { comparisonLines } from '../compare/comparison-text.ts';
import { type BeforeAfter, compareResult, loadLine, tryOriginal, whyUnequal } from '../edited/before-after.ts';
import { stage, targetOf } from '../edited/target.ts';
import { findLocalModel } from '../samples/local-model.ts';
import { formatCount } from '../terminal/format.ts';
import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import { type OptimizedGraph, optimizeModel } from './optimize-model.ts';
import type { Level } from './order.ts';

/** The options of the command line. */
export interface OptimizeArguments {
  readonly level: Level;
  readonly output?: string;
  readonly force?: boolean;
  readonly externalData?: boolean;
  readonly prepacked?: boolean;
  readonly thisMachine?: boolean;
  readonly samples?: string;
  readonly tolerance: number;
  readonly json?: boolean;
}

/**
 * Optimises a model, compares the result with it, and gives the result its place.
 * @throws ServingError if one of these fails; nothing is left of the result then
 */
export async function runOptimize(path: string, options: OptimizeArguments, context: VerbContext): Promise<Outcome> {
  const { level, prepacked = false, thisMachine = false, externalData, samples, tolerance } = options;
  const { progress, signal, onEnd, wrongUsage } = context;
  if (prepacked && !thisMachine)
    wrongUsage('--prepacked makes a model that only machines like this one run: add --this-machine if that is meant');
  const original = await findLocalModel(path);
  const model = openModel(original.path);
  const target = targetOf(original.path, {
    output: options.output,
    label: 'optimized',
    force: options.force,
    data: model.external.map((location) => fileOf(model, location)),
  });
  const tried = await tryOriginal({ original, samples, progress, signal });
  const staging = await stage(target, onEnd);
  const graph = await optimizeModel(model, {
    level,
    folder: staging.folder,
    path: staging.path,
    externalData,
    prepacks: prepacked,
    isForThisMachine: thisMachine,
    progress,
    signal,
  });
  const measured = await compareResult(tried, staging.path);
  const fault = whyUnequal(measured.comparison, tolerance);
  if (fault !== undefined) throw new ServingError('INVALID_INPUT', `${target} was not written: ${fault}`);
  await staging.publish();
  return {
    lines: describe(target, graph, measured),
    json: { file: target, ...jsonOf(graph, measured) },
  };
}

function describe(target: string, graph: OptimizedGraph, measured: BeforeAfter): string[] {
  const { nodesBefore, nodes, added, isForThisMachine } = graph;
  const { original, result } = measured.comparison;
  const fused = [...added].map(([operator, count]) => `${operator} x ${formatCount(count)}`);
  const losesJoining = original.joining.enabled && !result.joining.enabled;
  return [
    `wrote ${target}: ${formatCount(nodes)} nodes, before ${formatCount(nodesBefore)}`,
    ...(fused.length > 0 ? [`new: ${fused.join(', ')}`] : []),
    loadLine(measured),
    '',
    ...comparisonLines(measured.comparison),
    `the rows are from ${measured.rowsFrom}`,
    ...(losesJoining ? ['rows are no longer joined, which costs throughput: use --level basic'] : []),
    ...(isForThisMachine
      ? ['only machines like this one, with the same version of onnxruntime, should run this file']
      : []),
  ];
}

function jsonOf({ added, ...graph }: OptimizedGraph, { original, result, comparison, rowsFrom }: BeforeAfter) {
  return { ...graph, added: Object.fromEntries(added), loads: { original, result }, comparison, rowsFrom };
}
