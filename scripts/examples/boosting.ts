import type { AttributeValue } from '../../functions/onnx/proto/attribute.ts';

/** A node of a regression tree: rows whose feature is below the threshold go to `yes`. */
export type Tree =
  | { readonly feature: number; readonly threshold: number; readonly yes: Tree; readonly no: Tree }
  | { readonly leaf: number };

/** Trees whose values are added to `base`. */
export interface Ensemble {
  readonly base: number;
  readonly trees: readonly Tree[];
}

interface Row {
  readonly features: readonly number[];
  /** The derivative of the squared error by the prediction. */
  readonly gradient: number;
}

const LEARNING_RATE = 0.3;
const DEPTH = 3;
/** L2 penalty of a leaf's value. */
const LAMBDA = 1;

/**
 * Gradient boosting of squared errors, as XGBoost does it: second order, exact search of thresholds between neighbouring values.
 * All numbers are float32, as in the file.
 */
export function boost(rows: readonly (readonly number[])[], targets: readonly number[], count: number): Ensemble {
  const base = Math.fround(targets.reduce((sum, y) => sum + y, 0) / targets.length);
  const predictions = targets.map(() => base);
  const trees: Tree[] = [];
  for (let i = 0; i < count; i++) {
    const tree = grow(
      rows.map((features, at) => ({ features, gradient: predictions[at]! - targets[at]! })),
      DEPTH,
    );
    trees.push(tree);
    for (const [at, row] of rows.entries()) predictions[at]! += descend(tree, row);
  }
  return { base, trees };
}

/** The prediction for a row. */
export const regress = ({ base, trees }: Ensemble, row: readonly number[]): number =>
  trees.reduce((sum, tree) => sum + descend(tree, row), base);

function descend(tree: Tree, row: readonly number[]): number {
  if ('leaf' in tree) return tree.leaf;
  return descend(row[tree.feature]! < tree.threshold ? tree.yes : tree.no, row);
}

const sumOf = (rows: readonly Row[]): number => rows.reduce((sum, { gradient }) => sum + gradient, 0);
const score = (sum: number, count: number): number => sum ** 2 / (count + LAMBDA);

function grow(rows: readonly Row[], depth: number): Tree {
  const all = sumOf(rows);
  let best = { gain: 0, feature: -1, threshold: 0 };
  for (let feature = 0; depth > 0 && feature < rows[0]!.features.length; feature++) {
    const sorted = rows.toSorted((a, b) => a.features[feature]! - b.features[feature]!);
    let below = 0;
    for (let i = 1; i < sorted.length; i++) {
      below += sorted[i - 1]!.gradient;
      const [low, high] = [sorted[i - 1]!.features[feature]!, sorted[i]!.features[feature]!];
      if (low === high) continue;
      const gain = score(below, i) + score(all - below, sorted.length - i) - score(all, sorted.length);
      if (gain > best.gain + 1e-9) best = { gain, feature, threshold: Math.fround((low + high) / 2) };
    }
  }
  if (best.feature === -1) return { leaf: Math.fround((-LEARNING_RATE * all) / (rows.length + LAMBDA)) };
  const { feature, threshold } = best;
  return {
    feature,
    threshold,
    yes: grow(
      rows.filter((row) => row.features[feature]! < threshold),
      depth - 1,
    ),
    no: grow(
      rows.filter((row) => row.features[feature]! >= threshold),
      depth - 1,
    ),
  };
}

/** The attributes of a TreeEnsembleRegressor, as onnxmltools writes them. */
export function toAttributes({ base, trees }: Ensemble): Record<string, AttributeValue> {
  const nodes: {
    tree: number;
    id: number;
    feature: number;
    threshold: number;
    yes: number;
    no: number;
    leaf?: number;
  }[] = [];
  for (const [tree, root] of trees.entries()) {
    // Breadth first, as XGBoost numbers them.
    const queue: Tree[] = [root];
    for (let id = 0; id < queue.length; id++) {
      const at = queue[id]!;
      if ('leaf' in at) {
        nodes.push({ tree, id, feature: 0, threshold: 0, yes: 0, no: 0, leaf: at.leaf });
        continue;
      }
      const yes = queue.push(at.yes, at.no) - 2;
      nodes.push({ tree, id, feature: at.feature, threshold: at.threshold, yes, no: yes + 1 });
    }
  }
  const leaves = nodes.filter(({ leaf }) => leaf !== undefined);
  const ints = <T>(items: readonly T[], pick: (item: T) => number) => items.map((item) => BigInt(pick(item)));
  return {
    base_values: [base],
    n_targets: 1n,
    nodes_falsenodeids: ints(nodes, ({ no }) => no),
    nodes_featureids: ints(nodes, ({ feature }) => feature),
    nodes_hitrates: nodes.map(() => 1),
    nodes_missing_value_tracks_true: ints(nodes, ({ leaf }) => Number(leaf === undefined)),
    nodes_modes: nodes.map(({ leaf }) => (leaf === undefined ? 'BRANCH_LT' : 'LEAF')),
    nodes_nodeids: ints(nodes, ({ id }) => id),
    nodes_treeids: ints(nodes, ({ tree }) => tree),
    nodes_truenodeids: ints(nodes, ({ yes }) => yes),
    nodes_values: nodes.map(({ threshold }) => threshold),
    post_transform: 'NONE',
    target_ids: ints(leaves, () => 0),
    target_nodeids: ints(leaves, ({ id }) => id),
    target_treeids: ints(leaves, ({ tree }) => tree),
    target_weights: leaves.map(({ leaf }) => leaf!),
  };
}
