import type { Feeds } from '../../engine/batch-rows.ts';
import type { Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import type { Signature } from '../../tensor/tensor.ts';

/** Turns the failure of a run into the caller's error if its inputs give one dimension different lengths. */
type ExplainFailure = (outcomes: readonly Outcome[], feeds: Feeds) => readonly Outcome[];

/** One dimension of an input, by the slots of both. */
interface Axis {
  readonly slot: number;
  readonly axis: number;
}

/**
 * Creates the check of one model. It runs after a failure, not before the run: onnxruntime does not enforce the names of
 * dimensions, and exporters give one name to dimensions that may differ, which the model broadcasts.
 * @returns undefined for a model in which no two dimensions of inputs have the same name
 */
export function createExplainFailure({ inputs }: Signature): ExplainFailure | undefined {
  const axes = new Map<string, Axis[]>();
  for (const [slot, { dimNames = [] }] of inputs.entries()) {
    for (const [axis, name] of dimNames.entries()) {
      if (name === null) continue;
      const known = axes.get(name);
      if (known === undefined) axes.set(name, [{ slot, axis }]);
      else known.push({ slot, axis });
    }
  }
  const shared = [...axes].filter(([, places]) => places.length > 1);
  if (shared.length === 0) return undefined;

  function findUnequal({ tensors }: Feeds): string | undefined {
    const lengthOf = ({ slot, axis }: Axis): number | undefined => tensors[slot]?.dims[axis];
    for (const [name, [first, ...others]] of shared) {
      const length = lengthOf(first!);
      const other = others.find(
        (one) => length !== undefined && lengthOf(one) !== undefined && lengthOf(one) !== length,
      );
      if (other === undefined) continue;
      const describe = (one: Axis): string =>
        `${lengthOf(one)} in dimension ${one.axis} of input ${inputs[one.slot]!.name}`;
      return `the dimension ${name} has one length for all inputs: got ${describe(first!)} and ${describe(other)}`;
    }
    return undefined;
  }

  return (outcomes, feeds) => {
    if (!outcomes.some((one) => 'error' in one && one.error.code === 'MODEL_FAILED')) return outcomes;
    const unequal = findUnequal(feeds);
    if (unequal === undefined) return outcomes;
    return outcomes.map((one) => {
      if (!('error' in one) || one.error.code !== 'MODEL_FAILED') return one;
      const { error, rows } = one;
      return { rows, error: new ServingError('INVALID_INPUT', `${unequal}; ${error.message}`, { cause: error }) };
    });
  };
}
