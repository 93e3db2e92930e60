import { removeUnusedInitializers, scopesOf } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import { mergeDuplicates } from './duplicates.ts';
import { findTrainingDropouts, type RemovedNodes, removePassThroughs } from './pass-through.ts';
import { removeTrainingParts, type TrainingParts } from './training.ts';
import {
  findUnusedInputs,
  removeStaleValueInfo,
  removeUnusedFunctions,
  removeUnusedNodes,
  selectOutputs,
} from './unused.ts';

interface PruneOptions {
  /** The outputs to keep. Default: all. */
  readonly outputs?: readonly string[] | undefined;
  /** Called with the bytes of initializers that were compared, and those of all that may be equal. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What was removed from a model. */
export interface Pruned {
  /** Outputs, by their names. */
  readonly outputs: readonly string[];
  /** Nodes that only passed their input on, by their operator. */
  readonly passThroughs: RemovedNodes;
  /** Nodes that no output depends on. */
  readonly nodes: number;
  readonly functions: readonly string[];
  readonly training: TrainingParts;
  /** Initializers that nothing reads, without the duplicates. */
  readonly initializers: number;
  readonly duplicates: { readonly count: number; readonly bytes: number };
  /** Inputs that nothing reads, and that stay. */
  readonly unusedInputs: readonly string[];
  /** The names of Dropouts that stay because they are in training, `Dropout` for one without a name. */
  readonly trainingDropouts: readonly string[];
}

/**
 * Removes what the outputs of a model do not need: nodes, functions and initializers that nothing reads, nodes that pass their input on,
 * second copies of initializers, and what only training has. The outputs that stay have the same values as before.
 * @throws ServingError `INVALID_INPUT` for outputs that the model does not have; the reason of the signal
 */
export async function pruneModel(model: EditableModel, options: PruneOptions = {}): Promise<Pruned> {
  const outputs = options.outputs === undefined ? [] : selectOutputs(model, options.outputs);
  const unusedBefore = removeUnusedNodes(model);
  const inTraining = findTrainingDropouts(model);
  const passThroughs = removePassThroughs(model);
  const training = removeTrainingParts(model, inTraining);
  // Constants that only the removed nodes have read.
  const nodes = unusedBefore + removeUnusedNodes(model);
  const functions = removeUnusedFunctions(model);
  const initializers = removeUnusedInitializers(model.proto).length;
  const duplicates = await mergeDuplicates(model, options);
  removeUnusedInitializers(model.proto);
  removeStaleValueInfo(model);
  return {
    outputs,
    passThroughs,
    nodes,
    functions,
    training,
    initializers,
    duplicates,
    unusedInputs: findUnusedInputs(model),
    trainingDropouts: inTraining.map(({ name }) => name || 'Dropout'),
  };
}

/** The number of nodes of a model, those of the graphs inside others and of functions included. */
export function countNodes({ proto }: EditableModel): number {
  return [...scopesOf(proto)].reduce((sum, { nodes }) => sum + nodes.length, 0);
}
