import { feed } from './cases.ts';
import { floats } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { outputLabel } from './labels.ts';
import { createNet, SKLEARN } from './net.ts';

/** Models that measure how far a row is from those they were fitted with. */
const sklearn = (name: string) => createNet(name, SKLEARN);
const FLOAT = 1n;

const SUPPORT = [0, 1, 0.5, 1, 0, -0.5, 0.3, 0.3, 1, -1, 0.2, 0.1];
const KERNEL = { kernel_type: 'RBF', kernel_params: [0.5, 0, 3] };

function svc() {
  const net = sklearn('SVC');
  const x = net.input('X', 'float32', ['N', 3]);
  const [labels, scores] = net.ops('ml:SVMClassifier', [x], 2, {
    ...KERNEL,
    classlabels_ints: [0n, 1n],
    coefficients: [1, 0.5, -0.75, -0.75],
    support_vectors: SUPPORT,
    vectors_per_class: [2n, 2n],
    prob_a: [-1.2],
    prob_b: [0.1],
    rho: [0.05],
    post_transform: 'NONE',
  });
  net.output(labels!, 'int64', ['N'], 'output_label');
  net.output(scores!, 'float32', ['N', 2], 'output_probability');
  return net.build();
}

function svr() {
  const net = sklearn('SVR');
  const x = net.input('X', 'float32', ['N', 3]);
  const y = net.op('ml:SVMRegressor', [x], {
    ...KERNEL,
    coefficients: [1, 0.5, -0.75, -0.75],
    support_vectors: SUPPORT,
    n_supports: 4n,
    rho: [0.1],
    post_transform: 'NONE',
  });
  net.output(y, 'float32', ['N', 1], 'variable');
  return net.build();
}

/** Distances to the centres by |x|² - 2xc + |c|². */
function kMeans() {
  const net = sklearn('KMeans');
  const x = net.input('X', 'float32', ['N', 4]);
  const squares = net.op('ReduceSumSquare', [x], { axes: [1n], keepdims: 1n });
  const minusTwice = net.op('Gemm', [x, net.weight([3, 4])], { transB: 1n, alpha: -2 });
  const sum = net.op('Add', [squares, minusTwice]);
  const distances = net.op('Add', [net.weight([1, 3], 1), sum]);
  net.output(net.op('ArgMin', [distances], { axis: 1n, keepdims: 0n }), 'int64', ['N'], 'label');
  net.output(distances, 'float32', ['N', 3], 'scores');
  return net.build();
}

/** The distances to all training rows, the labels of the nearest, and their vote: CDist is onnxruntime's own. */
function nearestNeighbours() {
  const net = sklearn('KNeighborsClassifier');
  const x = net.input('X', 'float32', ['N', 2]);
  const distances = net.op('ms:CDist', [x, net.weight([6, 2], 2)], { metric: 'euclidean' });
  const [, near] = net.ops('TopK', [distances, net.ints(3)], 2, { axis: 1n, largest: 0n, sorted: 1n });
  const flat = net.op('Flatten', [near!]);
  const votes = net.op('ml:ArrayFeatureExtractor', [net.table('int64', [6], [0, 1, 2, 0, 1, 2]), flat]);
  const shape = net.op('Shape', [near!]);
  const rows = net.op('Reshape', [votes, shape]);
  const counts = [0, 1, 2].map((label) => {
    const same = net.op('Cast', [net.op('Equal', [rows, net.ints(label)])], { to: FLOAT });
    return net.op('ReduceSum', [same, net.ints(1)], { keepdims: 1n });
  });
  const all = net.op('Concat', counts, { axis: 1n });
  outputLabel(net, all, 3);
  net.output(net.op('Div', [all, net.float(3)]), 'float32', ['N', 3], 'probabilities');
  return net.build();
}

function gaussianProcess() {
  const net = sklearn('GaussianProcessRegressor');
  const x = net.input('X', 'float32', ['N', 2]);
  const scaled = net.op('Div', [x, net.table('float32', [1], [1.5])]);
  const distances = net.op('ms:CDist', [scaled, net.weight([5, 2], 2)], { metric: 'sqeuclidean' });
  const kernel = net.op('Exp', [net.op('Mul', [distances, net.table('float32', [1], [-0.5])])]);
  const mean = net.op('MatMul', [net.op('Mul', [kernel, net.float(1.25)]), net.weight([5, 1])]);
  net.output(net.op('Add', [mean, net.table('float32', [1], [0.1])]), 'float32', ['N', 1], 'GPmean');
  return net.build();
}

export const SCIKIT_LEARN_KERNELS: readonly ExportedGraph[] = [
  { name: 'scikit-learn: SVC with probabilities', model: svc, verdict: 'proved', feeds: feed(floats([3])) },
  { name: 'scikit-learn: SVR', model: svr, verdict: 'proved', feeds: feed(floats([3])) },
  { name: 'scikit-learn: KMeans', model: kMeans, verdict: 'proved', feeds: feed(floats([4])) },
  {
    name: 'scikit-learn: KNeighborsClassifier by CDist',
    model: nearestNeighbours,
    verdict: 'proved',
    feeds: feed(floats([2])),
  },
  {
    name: 'scikit-learn: GaussianProcessRegressor',
    model: gaussianProcess,
    verdict: 'proved',
    feeds: feed(floats([2])),
  },
];
