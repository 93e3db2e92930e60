import { initializer } from '../../../functions/onnx/proto/build.ts';
import type { InitializerData } from '../../../functions/onnx/proto/initializer.ts';
import { scoreMaps } from '../exported-models.ts';
import { feed } from './cases.ts';
import { floats } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { createNet, type Net, SKLEARN } from './net.ts';
import { forest } from './trees.ts';

const onnxmltools = (name: string) => createNet(name, { ...SKLEARN, producer: 'OnnxMLTools' });

function tensor(dtype: 'uint8' | 'float32', data: InitializerData) {
  return initializer('', dtype, [data.length], data);
}

function xgbClassifier() {
  const net = onnxmltools('XGBClassifier');
  const x = net.input('input', 'float32', ['N', 5]);
  const [labels, scores] = net.ops('ml:TreeEnsembleClassifier', [x], 2, {
    ...forest({ trees: 12, depth: 4, features: 5, targets: 1, mode: 'BRANCH_LT', missing: true, kind: 'class' }),
    classlabels_int64s: [0n, 1n],
    base_values: [0.5],
    post_transform: 'LOGISTIC',
  });
  net.output(labels!, 'int64', ['N'], 'label');
  net.output(scores!, 'float32', ['N', 2], 'probabilities');
  return net.build();
}

function xgbRegressor() {
  const net = onnxmltools('XGBRegressor');
  const x = net.input('input', 'float32', ['None', 5]);
  const y = net.op('ml:TreeEnsembleRegressor', [x], {
    ...forest({ trees: 12, depth: 4, features: 5, targets: 1, mode: 'BRANCH_LT', missing: true, kind: 'target' }),
    base_values: [0.5],
    post_transform: 'NONE',
  });
  net.output(y, 'float32', ['None', 1], 'variable');
  return net.build();
}

function lgbmMulticlass() {
  const net = onnxmltools('LGBMClassifier');
  const x = net.input('X', 'float32', ['N', 5]);
  const [labels, scores] = net.ops('ml:TreeEnsembleClassifier', [x], 2, {
    ...forest({ trees: 9, depth: 3, features: 5, targets: 3, missing: true, kind: 'class' }),
    classlabels_int64s: [0n, 1n, 2n],
    post_transform: 'SOFTMAX',
  });
  net.output(net.op('Identity', [labels!]), 'int64', ['N'], 'label');
  const maps = net.op('ml:ZipMap', [net.op('Identity', [scores!])], { classlabels_int64s: [0n, 1n, 2n] });
  net.typedOutput(maps, scoreMaps('int64'), 'probabilities');
  return net.build();
}

/** A booster cut into ensembles whose values are summed, and the two classes made of the one score. */
function lgbmSplit() {
  const net = onnxmltools('LGBMClassifier-split');
  const x = net.input('X', 'float32', ['N', 5]);
  const parts = [4, 5, 6].map((trees) =>
    net.op('ml:TreeEnsembleRegressor', [x], {
      ...forest({ trees, depth: 3, features: 5, targets: 1, missing: true, kind: 'target' }),
      post_transform: 'NONE',
    }),
  );
  const score = net.op('Sigmoid', [net.op('Sum', parts)]);
  const other = net.op('Sub', [net.table('float32', [1], [1]), score]);
  const scores = net.op('Concat', [other, score], { axis: 1n });
  const best = net.op('ArgMax', [scores], { axis: 1n, keepdims: 0n });
  const labels = net.op('ml:ArrayFeatureExtractor', [net.table('int64', [2], [0, 1]), best]);
  net.output(net.op('Reshape', [labels, net.ints(-1)]), 'int64', ['N'], 'label');
  const maps = net.op('ml:ZipMap', [scores], { classlabels_int64s: [0n, 1n] });
  net.typedOutput(maps, scoreMaps('int64'), 'probabilities');
  return net.build();
}

/** Column of the second class cut out of the scores, and put beside its threshold. */
function catBoost() {
  const net = createNet('CatBoost', { ...SKLEARN, producer: 'CatBoost', opset: 9, mlOpset: 2, irVersion: 3 });
  const x = net.input('features', 'float32', ['N', 5]);
  const [labels, scores] = net.ops('ml:TreeEnsembleClassifier', [x], 2, {
    ...forest({ trees: 6, depth: 4, features: 5, targets: 1, kind: 'class' }),
    classlabels_int64s: [0n, 1n],
    post_transform: 'LOGISTIC',
  });
  net.output(labels!, 'int64', ['N'], 'label');
  const column = net.op('Slice', [scores!], { axes: [1n], starts: [1n], ends: [2n] });
  net.output(column, 'float32', ['N', 1], 'probability');
  return net.build();
}

/** Hummingbird's tree traversal: all rows and trees in one list of node ids, a table of nodes looked up by it. */
function hummingbird() {
  const net = createNet('Hummingbird', { ...SKLEARN, producer: 'Hummingbird', opset: 11 });
  const x = net.input('input_0', 'float32', ['N', 4]);
  const trees = 3;
  const start = net.table('int64', [1, trees], [0, 3, 6]);
  const features = net.table('int64', [9], [0, 0, 0, 2, 2, 2, 3, 3, 3]);
  const thresholds = net.table('float32', [9], [0.5, 0, 0, -0.3, 0, 0, 0.1, 0, 0]);
  const left = net.table('int64', [9], [1, 1, 2, 4, 4, 5, 7, 7, 8]);
  const right = net.table('int64', [9], [2, 1, 2, 5, 4, 5, 8, 7, 8]);
  const rows = net.op('Gather', [net.op('Shape', [x]), net.table('int64', [1], [0])], { axis: 0n });
  const shape = net.op('Concat', [rows, net.ints(trees)], { axis: 0n });
  const nodes = net.op('Reshape', [net.op('Expand', [start, shape]), net.ints(-1)]);
  const at = (table: string) =>
    net.op('Reshape', [net.op('Gather', [table, nodes], { axis: 0n }), net.ints(-1, trees)]);
  const values = net.op('GatherElements', [x, at(features)], { axis: 1n });
  const less = net.op('Less', [values, at(thresholds)]);
  const next = net.op('Reshape', [net.op('Where', [less, at(left), at(right)]), net.ints(-1)]);
  const leaves = net.op(
    'Gather',
    [
      net.table(
        'float32',
        [9, 2],
        Float32Array.from({ length: 18 }, (_, i) => ((i * 5) % 13) / 13),
      ),
      next,
    ],
    { axis: 0n },
  );
  const byTree = net.op('Reshape', [leaves, net.ints(-1, trees, 2)]);
  const scores = net.op('ReduceSum', [byTree], { axes: [1n], keepdims: 0n });
  net.output(net.op('ArgMax', [scores], { axis: 1n, keepdims: 0n }), 'int64', ['N'], 'variable');
  net.output(scores, 'float32', ['N', 2], 'scores');
  return net.build();
}

function ranker(finish: (net: Net, scores: string) => void) {
  const net = onnxmltools('LGBMRanker');
  const x = net.input('X', 'float32', ['N', 5]);
  const ensemble = forest({ trees: 6, depth: 3, features: 5, targets: 1, missing: true, kind: 'target' });
  finish(net, net.op('ml:TreeEnsembleRegressor', [x], { ...ensemble, post_transform: 'NONE' }));
  return net.build();
}

const softmaxRanker = () =>
  ranker((net, scores) => net.output(net.op('Softmax', [scores], { axis: 0n }), 'float32', ['N', 1], 'share'));

const topRanker = () =>
  ranker((net, scores) => {
    const [best, at] = net.ops('TopK', [scores, net.ints(1)], 2, { axis: 0n });
    net.output(best!, 'float32', [1, 1], 'best');
    net.output(at!, 'int64', [1, 1], 'row');
  });

/** ai.onnx.ml 5: one operator for all kinds of trees. */
function treeEnsemble() {
  const net = createNet('TreeEnsemble', { ...SKLEARN, opset: 20, mlOpset: 5, irVersion: 10 });
  const x = net.input('X', 'float32', ['N', 3]);
  const y = net.op('ml:TreeEnsemble', [x], {
    n_targets: 2n,
    aggregate_function: 1n,
    tree_roots: [0n, 1n],
    nodes_modes: tensor('uint8', Uint8Array.of(0, 0)),
    nodes_featureids: [0n, 2n],
    nodes_splits: tensor('float32', Float32Array.of(0.5, -0.25)),
    nodes_truenodeids: [0n, 2n],
    nodes_trueleafs: [1n, 1n],
    nodes_falsenodeids: [1n, 3n],
    nodes_falseleafs: [1n, 1n],
    leaf_targetids: [0n, 1n, 0n, 1n],
    leaf_weights: tensor('float32', Float32Array.of(0.5, 1.5, -2, 0.25)),
  });
  net.output(y, 'float32', ['N', 2], 'Y');
  return net.build();
}

const five = feed(floats([5]));

export const GRADIENT_BOOSTING: readonly ExportedGraph[] = [
  { name: 'XGBoost: XGBClassifier', model: xgbClassifier, verdict: 'proved', feeds: five },
  { name: 'XGBoost: XGBRegressor', model: xgbRegressor, verdict: 'proved', feeds: five },
  { name: 'LightGBM: LGBMClassifier of three classes, ZipMap', model: lgbmMulticlass, verdict: 'proved', feeds: five },
  {
    name: 'LightGBM: booster in three ensembles, Sum, Sigmoid, ZipMap',
    model: lgbmSplit,
    verdict: 'proved',
    feeds: five,
  },
  { name: 'CatBoost: one column of the scores', model: catBoost, verdict: 'proved', feeds: five },
  {
    name: 'Hummingbird: trees in tensors, rows and trees in one axis',
    model: hummingbird,
    verdict: 'proved',
    feeds: feed(floats([4])),
  },
  { name: 'ai.onnx.ml 5: TreeEnsemble', model: treeEnsemble, verdict: 'proved', feeds: feed(floats([3])) },
  {
    name: 'LightGBM: LGBMRanker',
    model: () => ranker((net, scores) => net.output(scores, 'float32', ['N', 1], 'variable')),
    verdict: 'proved',
    feeds: five,
  },
  {
    name: 'LightGBM: LGBMRanker, softmax over the batch',
    model: softmaxRanker,
    verdict: 'mixed',
    operator: 'Softmax',
    feeds: five,
  },
  {
    name: 'LightGBM: LGBMRanker, best row of the batch',
    model: topRanker,
    verdict: 'mixed',
    operator: 'TopK',
    feeds: five,
  },
];
