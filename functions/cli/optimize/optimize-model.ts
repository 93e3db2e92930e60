import { basename, join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { scopesOf } from '../../onnx/edit/graphs.ts';
import { type EditableModel, openModel } from '../../onnx/edit/open-model.ts';
import { writeModel } from '../../onnx/edit/write-model.ts';
import type { Progress } from '../terminal/progress.ts';
import { optimizeGraph } from './optimize-graph.ts';
import type { Level } from './order.ts';

interface OptimizeOptions {
  readonly level: Level;
  /** Where the result is written: a folder for it alone. */
  readonly folder: string;
  readonly path: string;
  /** Whether weights are in a file of their own. Default: as they are in the model. */
  readonly externalData?: boolean | undefined;
  /** Whether that file also has the weights packed for the kernels of this CPU. */
  readonly prepacks: boolean;
  /** Whether the result may be one that only such a machine runs. */
  readonly isForThisMachine: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A graph before and after. */
export interface OptimizedGraph {
  readonly nodesBefore: number;
  readonly nodes: number;
  /** Operators that the graph has now and did not have before, or had less often, with how many more there are. */
  readonly added: ReadonlyMap<string, number>;
  /** Whether machines with another CPU or version of onnxruntime may not run it, or give other results. */
  readonly isForThisMachine: boolean;
}

/** A model from so many bytes on is written with its weights outside by onnxruntime: fused weights are in memory once then. */
const LARGE_BYTES = 2 ** 30;
/** No file of a model with external data has such a name. */
const SCRATCH = '.optimized';
/** Domains of operators whose data have the layout of one kind of CPU. */
const LAYOUT_DOMAINS: ReadonlySet<string> = new Set(['com.microsoft.nchwc', 'com.ms.internal.nhwc']);

/**
 * Writes the model as onnxruntime optimises it. Its inputs, outputs and metadata stay.
 * @throws ServingError `MODEL_FAILED` if onnxruntime refuses the model; `INVALID_INPUT` if the result would run on this kind of machine
 * alone and that is not wanted
 */
export async function optimizeModel(model: EditableModel, options: OptimizeOptions): Promise<OptimizedGraph> {
  const { level, folder, path, prepacks, progress, signal, isForThisMachine } = options;
  const before = countOperators(model);
  progress.step(`optimising ${basename(model.path)}`);
  // What is packed is written by onnxruntime alone: only it knows the form.
  const file = prepacks ? path : join(folder, SCRATCH);
  const isLarge = model.bytes >= LARGE_BYTES;
  const dataFile = prepacks || isLarge ? `${file}.data` : undefined;
  await optimizeGraph({ path: model.path, level, file, dataFile, prepacks }, signal);
  const optimized = openModel(file, dataFile === undefined ? model.dataFolder : folder);
  const bound = [...scopesOf(optimized.proto)]
    .flatMap(({ nodes }) => nodes)
    .find(({ domain }) => LAYOUT_DOMAINS.has(domain));
  if (bound !== undefined && !isForThisMachine) {
    const what = `level all makes nodes such as ${bound.opType} of ${bound.domain}, whose data have the layout of this CPU`;
    throw new ServingError(
      'INVALID_INPUT',
      `${what}: use --level extended, or add --this-machine if only such machines run it`,
    );
  }
  const after = countOperators(optimized);
  if (!prepacks) {
    progress.step(`writing ${basename(path)}`);
    const isExternal = options.externalData ?? model.external.length > 0;
    await writeModel(optimized, path, { externalData: isExternal, signal, onProgress: progress.update });
  }
  const added = [...after.counts].map(
    ([operator, count]) => [operator, count - (before.counts.get(operator) ?? 0)] as const,
  );
  return {
    nodesBefore: before.total,
    nodes: after.total,
    added: new Map(added.filter(([, count]) => count > 0)),
    isForThisMachine: prepacks || bound !== undefined,
  };
}

function countOperators({ proto }: EditableModel) {
  const counts = new Map<string, number>();
  let total = 0;
  for (const { nodes } of scopesOf(proto)) {
    total += nodes.length;
    for (const { opType } of nodes) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  }
  return { counts, total };
}
