import { scoreMaps } from '../exported-models.ts';
import { feed } from './cases.ts';
import { floats, ids, texts } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { outputLabel } from './labels.ts';
import { createNet, SKLEARN } from './net.ts';
import { forest } from './trees.ts';

const sklearn = (name: string) => createNet(name, SKLEARN);
const FLOAT = 1n;
const INT64 = 7n;
const THREE = { classlabels_ints: [0n, 1n, 2n], post_transform: 'SOFTMAX', multi_class: 1n };

function randomForest() {
  const net = sklearn('RandomForestClassifier');
  const x = net.input('X', 'float32', ['N', 4]);
  const [labels, scores] = net.ops('ml:TreeEnsembleClassifier', [x], 2, {
    ...forest({ trees: 10, depth: 4, features: 4, targets: 3, kind: 'class' }),
    classlabels_int64s: [0n, 1n, 2n],
    post_transform: 'NONE',
  });
  net.output(net.op('Cast', [labels!], { to: INT64 }), 'int64', ['N'], 'output_label');
  const maps = net.op('ml:ZipMap', [scores!], { classlabels_int64s: [0n, 1n, 2n] });
  net.typedOutput(maps, scoreMaps('int64'), 'output_probability');
  return net.build();
}

function logisticRegression() {
  const net = sklearn('Pipeline');
  const x = net.input('X', 'float32', ['N', 4]);
  const scaled = net.op('ml:Scaler', [x], { offset: [0.1, 0.2, -0.3, 0.5], scale: [1, 0.5, 2, 0.25] });
  const weights = Array.from({ length: 12 }, (_, i) => ((i * 7) % 11) / 11 - 0.4);
  const [labels, raw] = net.ops('ml:LinearClassifier', [scaled], 2, {
    ...THREE,
    coefficients: weights,
    intercepts: [0.1, -0.1, 0.2],
  });
  const scores = net.op('ml:Normalizer', [raw!], { norm: 'L1' });
  net.output(net.op('Cast', [labels!], { to: INT64 }), 'int64', ['N'], 'label');
  net.output(scores, 'float32', ['N', 3], 'probabilities');
  return net.build();
}

function linearRegression() {
  const net = sklearn('LinearRegression');
  const x = net.input('X', 'float32', ['N', 3]);
  const y = net.op('ml:LinearRegressor', [x], { coefficients: [0.5, -1, 2], intercepts: [0.25] });
  net.output(y, 'float32', ['N', 1], 'variable');
  return net.build();
}

/** skl2onnx has no LinearRegressor for doubles. */
function linearRegressionDouble() {
  const net = sklearn('LinearRegressionDouble');
  const x = net.input('X', 'float64', ['N', 3]);
  const product = net.op('MatMul', [x, net.table('float64', [3, 1], [0.5, -1, 2])]);
  const sum = net.op('Add', [product, net.table('float64', [1], [0.25])]);
  net.output(net.op('Reshape', [sum, net.ints(-1, 1)]), 'float64', ['N', 1], 'variable');
  return net.build();
}

const CITIES = ['Oslo', 'Rome', 'Lima'];
const SEX = ['male', 'female'];

/** ColumnTransformer: one input a column, text among them. */
function columnTransformer() {
  const net = sklearn('ColumnTransformer');
  const columns = ['age', 'fare'].map((name) => net.input(name, 'float32', ['N', 1]));
  const words = ['sex', 'city'].map((name) => net.input(name, 'string', ['N', 1]));
  const numbers = net.op('Concat', columns, { axis: 1n });
  const imputed = net.op('ml:Imputer', [numbers], { imputed_value_floats: [28, 14], replaced_value_float: Number.NaN });
  const scaled = net.op('ml:Scaler', [imputed], { offset: [29, 30], scale: [0.07, 0.02] });
  const joined = net.op('Concat', words, { axis: 1n });
  const hot = [SEX, CITIES].map((cats_strings, at) => {
    const column = net.op('ml:ArrayFeatureExtractor', [joined, net.ints(at)]);
    const one = net.op('ml:OneHotEncoder', [column], { cats_strings, zeros: 1n });
    return net.op('Reshape', [one, net.ints(-1, cats_strings.length)]);
  });
  const encoded = net.op('Concat', hot, { axis: -1n });
  const features = net.op('Concat', [scaled, encoded], { axis: 1n });
  const [labels, raw] = net.ops('ml:LinearClassifier', [features], 2, {
    classlabels_strings: ['died', 'lived'],
    coefficients: [0.3, -0.2, 1, -1, 0.5, 0.1, 0.2, -0.3, 0.2, -1, 1, -0.5, -0.1, -0.2],
    intercepts: [0.1, -0.1],
    post_transform: 'LOGISTIC',
    multi_class: 0n,
  });
  const scores = net.op('ml:Normalizer', [raw!], { norm: 'L1' });
  net.output(labels!, 'string', ['N'], 'output_label');
  const maps = net.op('ml:ZipMap', [scores], { classlabels_strings: ['died', 'lived'] });
  net.typedOutput(maps, scoreMaps('string'), 'output_probability');
  return net.build();
}

function pcaMlp() {
  const net = sklearn('PCA-MLPClassifier');
  const x = net.input('X', 'float32', ['N', 4]);
  const centred = net.op('Sub', [x, net.weight([4])]);
  let y = net.op('MatMul', [centred, net.weight([4, 3])]);
  y = net.op('Cast', [y], { to: FLOAT });
  y = net.op('Relu', [net.op('Add', [net.op('MatMul', [y, net.weight([3, 8])]), net.weight([1, 8])])]);
  y = net.op('Softmax', [net.op('Add', [net.op('MatMul', [y, net.weight([8, 3])]), net.weight([1, 3])])], { axis: 1n });
  outputLabel(net, y, 3);
  net.output(y, 'float32', ['N', 3], 'probabilities');
  return net.build();
}

function gaussianNb() {
  const net = sklearn('GaussianNB');
  const x = net.input('X', 'float32', ['N', 4]);
  const wide = net.op('Reshape', [x, net.ints(-1, 1, 4)]);
  const shifted = net.op('Sub', [wide, net.weight([1, 3, 4])]);
  const squared = net.op('Pow', [shifted, net.table('float32', [1], [2])]);
  const scaled = net.op('Div', [
    squared,
    net.table(
      'float32',
      [1, 3, 4],
      Float32Array.from({ length: 12 }, (_, i) => 1 + i / 8),
    ),
  ]);
  const summed = net.op('ReduceSum', [scaled, net.ints(2)], { keepdims: 0n });
  const half = net.op('Mul', [summed, net.table('float32', [1], [-0.5])]);
  const joint = net.op('Add', [net.weight([1, 3]), half]);
  const norm = net.op('Reshape', [net.op('ReduceLogSumExp', [joint], { axes: [1n], keepdims: 0n }), net.ints(-1, 1)]);
  const scores = net.op('Exp', [net.op('Sub', [joint, norm])]);
  outputLabel(net, joint, 3);
  net.output(scores, 'float32', ['N', 3], 'output_probability');
  return net.build();
}

function isolationForest() {
  const net = sklearn('IsolationForest');
  const x = net.input('X', 'float32', ['N', 3]);
  const depth = net.op(
    'ml:TreeEnsembleRegressor',
    [x],
    forest({ trees: 8, depth: 3, features: 3, targets: 1, kind: 'target' }),
  );
  const power = net.op('Pow', [net.table('float32', [1], [2]), net.op('Neg', [net.op('Div', [depth, net.float(4)])])]);
  const score = net.op('Add', [net.op('Neg', [power]), net.table('float32', [1], [0.8])]);
  const isOut = net.op('Cast', [net.op('Less', [score, net.table('float32', [1], [0])])], { to: INT64 });
  const sign = net.op('Add', [net.op('Mul', [isOut, net.ints(-2)]), net.ints(1)]);
  net.output(sign, 'int64', ['N', 1], 'label');
  net.output(score, 'float32', ['N', 1], 'scores');
  return net.build();
}

function voting() {
  const net = sklearn('VotingClassifier');
  const x = net.input('X', 'float32', ['N', 4]);
  const linear = {
    ...THREE,
    coefficients: Array.from({ length: 12 }, (_, i) => ((i * 5) % 7) / 7 - 0.5),
    intercepts: [0, 0.1, 0],
  };
  const [, first] = net.ops('ml:LinearClassifier', [x], 2, linear);
  const trees = forest({ trees: 3, depth: 3, features: 4, targets: 3, kind: 'class' });
  const [, second] = net.ops('ml:TreeEnsembleClassifier', [x], 2, { ...trees, classlabels_int64s: [0n, 1n, 2n] });
  const weighted = [first!, second!].map((scores) => net.op('Mul', [scores, net.float(0.5)]));
  const sum = net.op('Sum', weighted);
  outputLabel(net, sum, 3);
  net.output(sum, 'float32', ['N', 3], 'output_probability');
  return net.build();
}

/** Encoded and binned columns behind one another: LabelEncoder, Binarizer, FeatureVectorizer. */
function encoders() {
  const net = sklearn('encoders');
  const city = net.input('city', 'string', ['N', 1]);
  const age = net.input('age', 'float32', ['N', 2]);
  const grade = net.input('grade', 'int64', ['N', 1]);
  const code = net.op('ml:LabelEncoder', [city], { keys_strings: CITIES, values_floats: [1, 2, 3], default_float: -1 });
  const adult = net.op('ml:Binarizer', [age], { threshold: 0.5 });
  const level = net.op('Cast', [grade], { to: FLOAT });
  const all = net.op('ml:FeatureVectorizer', [code, adult, level], { inputdimensions: [1n, 2n, 1n] });
  net.output(net.op('ml:Normalizer', [all], { norm: 'L2' }), 'float32', ['N', 4], 'variable');
  return net.build();
}

export const SCIKIT_LEARN: readonly ExportedGraph[] = [
  {
    name: 'scikit-learn: RandomForestClassifier, default ZipMap',
    model: randomForest,
    verdict: 'proved',
    feeds: feed(floats([4])),
  },
  {
    name: 'scikit-learn: StandardScaler and LogisticRegression',
    model: logisticRegression,
    verdict: 'proved',
    feeds: feed(floats([4])),
  },
  { name: 'scikit-learn: LinearRegression', model: linearRegression, verdict: 'proved', feeds: feed(floats([3])) },
  {
    name: 'scikit-learn: LinearRegression of doubles, Reshape [-1,1]',
    model: linearRegressionDouble,
    verdict: 'proved',
    feeds: feed(floats([3], { dtype: 'float64' })),
  },
  {
    name: 'scikit-learn: ColumnTransformer, one input a column, text among them',
    model: columnTransformer,
    verdict: 'proved',
    feeds: feed(floats([1]), floats([1]), texts([1], [...SEX, '']), texts([1], [...CITIES, 'Bonn'])),
  },
  { name: 'scikit-learn: PCA and MLPClassifier', model: pcaMlp, verdict: 'proved', feeds: feed(floats([4])) },
  { name: 'scikit-learn: GaussianNB', model: gaussianNb, verdict: 'proved', feeds: feed(floats([4])) },
  { name: 'scikit-learn: IsolationForest', model: isolationForest, verdict: 'proved', feeds: feed(floats([3])) },
  { name: 'scikit-learn: VotingClassifier', model: voting, verdict: 'proved', feeds: feed(floats([4])) },
  {
    name: 'scikit-learn: LabelEncoder, Binarizer, FeatureVectorizer, Normalizer',
    model: encoders,
    verdict: 'proved',
    // Binarizer fails on NaN.
    special: false,
    feeds: feed(texts([1], [...CITIES, 'Bonn']), floats([2], { special: false }), ids([1], 5)),
  },
];
