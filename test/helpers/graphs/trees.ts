import { createRandom } from '../../../scripts/fuzz/random.ts';
import type { Attributes } from './net.ts';

export interface ForestParts {
  readonly trees: number;
  readonly depth: number;
  readonly features: number;
  /** Values that a leaf gives: classes or targets. */
  readonly targets: number;
  readonly mode?: 'BRANCH_LEQ' | 'BRANCH_LT';
  /** Where a NaN goes, and the tracks of it. */
  readonly missing?: boolean;
  readonly kind: 'class' | 'target';
}

/** Full binary trees with seeded thresholds and leaves, as attributes of TreeEnsembleClassifier and -Regressor. */
export function forest({
  trees,
  depth,
  features,
  targets,
  mode = 'BRANCH_LEQ',
  missing,
  kind,
}: ForestParts): Attributes {
  const random = createRandom(trees * 31 + depth);
  const nodes = { treeids: [], nodeids: [], featureids: [], truenodeids: [], falsenodeids: [] } as Record<
    string,
    bigint[]
  >;
  const values: number[] = [];
  const modes: string[] = [];
  const tracks: bigint[] = [];
  const leaves = { treeids: [], nodeids: [], ids: [] } as Record<string, bigint[]>;
  const weights: number[] = [];
  for (let tree = 0; tree < trees; tree++) {
    const inner = 2 ** depth - 1;
    for (let at = 0; at < 2 * inner + 1; at++) {
      const leaf = at >= inner;
      nodes.treeids!.push(BigInt(tree));
      nodes.nodeids!.push(BigInt(at));
      nodes.featureids!.push(BigInt(leaf ? 0 : random.int(features)));
      nodes.truenodeids!.push(BigInt(leaf ? 0 : 2 * at + 1));
      nodes.falsenodeids!.push(BigInt(leaf ? 0 : 2 * at + 2));
      values.push(leaf ? 0 : (random.int(201) - 100) / 64);
      modes.push(leaf ? 'LEAF' : mode);
      tracks.push(BigInt(missing && !leaf ? random.int(2) : 0));
      if (!leaf) continue;
      for (let target = 0; target < targets; target++) {
        // A boosted tree of several classes gives a value to one of them.
        if (missing && targets > 1 && target !== tree % targets) continue;
        leaves.treeids!.push(BigInt(tree));
        leaves.nodeids!.push(BigInt(at));
        leaves.ids!.push(BigInt(target));
        weights.push((random.int(1000) + 1) / (1024 * trees) - (missing ? 0.5 / trees : 0));
      }
    }
  }
  const named = (prefix: string, lists: Record<string, bigint[]>) =>
    Object.fromEntries(Object.entries(lists).map(([key, list]) => [`${prefix}_${key}`, list]));
  return {
    ...named('nodes', nodes),
    nodes_values: values,
    nodes_modes: modes,
    nodes_hitrates: values.map(() => 1),
    nodes_missing_value_tracks_true: tracks,
    ...named(kind, leaves),
    [`${kind}_weights`]: weights,
    ...(kind === 'target' && { n_targets: BigInt(targets) }),
  };
}
