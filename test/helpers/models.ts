import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { DATA_LOCATION, DATA_TYPES } from '../../functions/onnx/data-type.ts';
import {
  graph,
  initializer,
  mapType,
  model,
  node,
  type Shape,
  sequenceType,
  tensorType,
  typedValue,
  value,
} from '../../functions/onnx/proto/build.ts';
import { type NodeProto, type TensorProto, TensorProtoSchema } from '../../functions/onnx/proto/onnx_pb.ts';
import type { DType } from '../../functions/tensor/tensor.ts';

/** A value far beyond what a Loop gets through in a test's life. */
const FOR_EVER = 2n ** 62n;

/** Steps of `slow`'s Loop that take about a millisecond on one core of a small cloud machine. */
const STEPS_PER_MILLISECOND = 1200;

/** `x` -> `y`, both float32 of one shape. */
function unary(shape: Shape, nodes: NodeProto[], initializers: TensorProto[] = []) {
  return model({
    name: 'unary',
    nodes,
    initializers,
    inputs: [value('x', 'float32', shape)],
    outputs: [value('y', 'float32', shape)],
  });
}

/** `y` = `x`, after a Loop of as many steps as the int64 scalar `steps` says, which `count` computes. */
function loop(count: NodeProto[], initializers: TensorProto[]) {
  const body = graph({
    name: 'step',
    nodes: [node('Identity', ['go_on'], ['go_on_too']), node('Identity', ['state'], ['next'])],
    inputs: [value('step', 'int64', []), value('go_on', 'bool', []), value('state', 'float32', ['N', 1])],
    outputs: [value('go_on_too', 'bool', []), value('next', 'float32', ['N', 1])],
  });
  return unary(['N', 1], [...count, node('Loop', ['steps', '', 'x'], ['y'], { body })], initializers);
}

/** `x` comes out as `y`, unchanged. Any dtype, any shape; a name for a dimension leaves it to the caller. */
export function identity(dtype: DType = 'float32', shape: Shape = ['N', 4], names = { input: 'x', output: 'y' }) {
  return model({
    name: 'identity',
    nodes: [node('Identity', [names.input], [names.output])],
    inputs: [value(names.input, dtype, shape)],
    outputs: [value(names.output, dtype, shape)],
  });
}

/** `sum` = `a` + `b`, all float32 [N,2]. */
export function add() {
  return model({
    name: 'add',
    nodes: [node('Add', ['a', 'b'], ['sum'])],
    inputs: [value('a', 'float32', ['N', 2]), value('b', 'float32', ['N', 2])],
    outputs: [value('sum', 'float32', ['N', 2])],
  });
}

/** Triton's example model: `OUTPUT0` = `INPUT0` + `INPUT1`, `OUTPUT1` = `INPUT0` - `INPUT1`, all int32 [N,16]. */
export function simple() {
  return model({
    name: 'simple',
    nodes: [node('Add', ['INPUT0', 'INPUT1'], ['OUTPUT0']), node('Sub', ['INPUT0', 'INPUT1'], ['OUTPUT1'])],
    inputs: ['INPUT0', 'INPUT1'].map((name) => value(name, 'int32', ['N', 16])),
    outputs: ['OUTPUT0', 'OUTPUT1'].map((name) => value(name, 'int32', ['N', 16])),
  });
}

/** The same on texts of decimal digits, string [N,16]: Triton's `simple_string`. */
export function simpleString() {
  const cast = (from: string, to: string, dtype: 'int32' | 'string') =>
    node('Cast', [from], [to], { to: BigInt(DATA_TYPES[dtype]) });
  return model({
    name: 'simple_string',
    nodes: [
      cast('INPUT0', 'a', 'int32'),
      cast('INPUT1', 'b', 'int32'),
      node('Add', ['a', 'b'], ['sum']),
      node('Sub', ['a', 'b'], ['difference']),
      cast('sum', 'OUTPUT0', 'string'),
      cast('difference', 'OUTPUT1', 'string'),
    ],
    inputs: ['INPUT0', 'INPUT1'].map((name) => value(name, 'string', ['N', 16])),
    outputs: ['OUTPUT0', 'OUTPUT1'].map((name) => value(name, 'string', ['N', 16])),
  });
}

/** `y` = `x` + `constant`, float32 [N,2]: versions of one model that can be told apart. */
export function addConstant(constant: number) {
  return unary(['N', 2], [node('Add', ['x', 'constant'], ['y'])], [initializer('constant', 'float32', [], [constant])]);
}

/** `x` int64 [N,1] and float64 `z` [N,2] -> `i` = x + 1, `r` = sum of z's row [N]: outputs of two dtypes and ranks. */
export function twoOutputs() {
  return model({
    name: 'two-outputs',
    nodes: [node('Add', ['x', 'one'], ['i']), node('ReduceSum', ['z', 'last'], ['r'], { keepdims: 0n })],
    initializers: [initializer('one', 'int64', [], [1]), initializer('last', 'int64', [1], [1])],
    inputs: [value('x', 'int64', ['N', 1]), value('z', 'float64', ['N', 2])],
    outputs: [value('i', 'int64', ['N', 1]), value('r', 'float64', ['N'])],
  });
}

/** A table with text: `y` [N,1] = `age` float32 [N,1] + 100 where `city` string [N,1] is Oslo, 200 where it is Rome. */
export function manyInputs() {
  return model({
    name: 'many-inputs',
    nodes: [
      node('LabelEncoder', ['city'], ['code'], cityCodes, { domain: 'ai.onnx.ml' }),
      node('Add', ['age', 'code'], ['y']),
    ],
    inputs: [value('age', 'float32', ['N', 1]), value('city', 'string', ['N', 1])],
    outputs: [value('y', 'float32', ['N', 1])],
    mlOpset: 3,
  });
}
const cityCodes = { keys_strings: ['Oslo', 'Rome'], values_floats: [100, 200], default_float: 0 };

/** Logarithm of `x`, float32 [N,1]: 0 gives -Infinity, a negative number NaN. */
export function notFinite() {
  return unary(['N', 1], [node('Log', ['x'], ['y'])]);
}

/**
 * `y` = `x` + `constant`, float32 [N,2], where the constant is the sum of about `bytes` bytes of weights: one bit that
 * is another, a byte too few, or a block that comes twice, gives another answer.
 */
export function summed(constant: number, bytes: number): Uint8Array<ArrayBuffer> {
  const weights = new Int32Array(Math.floor(bytes / 4));
  let sum = 0;
  for (let i = 1; i < weights.length; i++) {
    weights[i] = Math.imul(i, 0x9e3779b1) >> 22;
    sum += weights[i]!;
  }
  weights[0] = constant - sum;
  return unary(
    ['N', 2],
    [
      node('ReduceSum', ['weights'], ['sum'], { keepdims: 0n }),
      node('Cast', ['sum'], ['constant'], { to: BigInt(DATA_TYPES.float32) }),
      node('Add', ['x', 'constant'], ['y']),
    ],
    [initializer('weights', 'int32', [weights.length], weights)],
  );
}

/** `y` = element `x` of a table, float32 [N,1]: each element is `constant`. A run reads only the page of its element. */
export function lookUp(constant: number, elements: number): Uint8Array<ArrayBuffer> {
  return unary(
    ['N', 1],
    [node('Cast', ['x'], ['at'], { to: BigInt(DATA_TYPES.int64) }), node('Gather', ['table', 'at'], ['y'])],
    [initializer('table', 'float32', [elements], new Float32Array(elements).fill(constant))],
  );
}

/** `y` = `x` + 1, float32 [N,2], with 8 MB beside it that make it worth caching. */
export function padded(): Uint8Array {
  const weights = [
    initializer('one', 'float32', [], [1]),
    initializer('pad', 'float32', [2_000_000], new Float32Array(2e6)),
  ];
  return model({
    name: 'padded',
    nodes: [node('Add', ['x', 'one'], ['y'])],
    initializers: weights,
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [value('y', 'float32', ['N', 2])],
  });
}

// Models whose first dimension is no batch: rows joined from two requests would change each other's answer.

/** Axis 0 is a sequence: `y` = running sum of `x` along it, float32 [N,3]. */
export function sequenceAxis() {
  return unary(['N', 3], [node('CumSum', ['x', 'axis'], ['y'])], [initializer('axis', 'int64', [], [0])]);
}

/** `y` = softmax of `x` over axis 0, float32 [N,3]. */
export function softmaxAxis0() {
  return unary(['N', 3], [node('Softmax', ['x'], ['y'], { axis: 0n })]);
}

/** `y` = `x` less the mean of all rows, float32 [N,3]: a row sent alone gives zeros. */
export function rowsSeeEachOther() {
  const mean = node('ReduceMean', ['x'], ['mean'], { axes: [0n], keepdims: 1n });
  return unary(['N', 3], [mean, node('Sub', ['x', 'mean'], ['y'])]);
}

/** Takes one row and no more: `x` [1,4] -> `y` [1,2], the sums of its first and of its last two values, float32. */
export function fixedBatch() {
  const weights = initializer('w', 'float32', [4, 2], [1, 0, 1, 0, 0, 1, 0, 1]);
  return model({
    name: 'fixed-batch',
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [weights],
    inputs: [value('x', 'float32', [1, 4])],
    outputs: [value('y', 'float32', [1, 2])],
  });
}

/** One number for all rows: `y` = sum of `x` float32 [N,3]. Its shape is `[1]`, or `[]` where asked for. */
export function scalarOutput(shape: [] | [1] = []) {
  const sum = node('ReduceSum', ['x'], ['sum'], { keepdims: 0n });
  return model({
    name: 'scalar-output',
    nodes: [sum, node('Reshape', ['sum', 'shape'], ['y'])],
    initializers: [initializer('shape', 'int64', [shape.length], shape)],
    inputs: [value('x', 'float32', ['N', 3])],
    outputs: [value('y', 'float32', shape)],
  });
}

/** One example without a batch dimension: `y` = 2 `x`, float32 [3]. */
export function rankOne() {
  return unary([3], [node('Add', ['x', 'x'], ['y'])]);
}

/** Every dimension is the caller's: `y` = 2 `x`, float32 [N,M]. */
export function freeDimensions() {
  return unary(['N', 'M'], [node('Add', ['x', 'x'], ['y'])]);
}

/** The file gives no rank of `x` and `y`: `y` = 2 `x`, float32. */
export function noShape() {
  return model({
    name: 'no-shape',
    nodes: [node('Add', ['x', 'x'], ['y'])],
    inputs: [value('x', 'float32')],
    outputs: [value('y', 'float32')],
  });
}

// Models that misbehave.

/**
 * `y` = 2 `x`, float32 [N,1], unless any row is below 0: then the whole run fails, with ONNX Runtime's own error, as a
 * Gather looks up row 1 of a table of one. The process lives on.
 */
export function poisonable() {
  return unary(
    ['N', 1],
    [
      node('Less', ['x', 'zero'], ['bad']),
      node('Cast', ['bad'], ['index'], { to: BigInt(DATA_TYPES.int64) }),
      node('Gather', ['table', 'index'], ['nothing']),
      node('Add', ['x', 'x'], ['twice']),
      node('Add', ['twice', 'nothing'], ['y']),
    ],
    [initializer('zero', 'float32', [], [0]), initializer('table', 'float32', [1], [0])],
  );
}

/**
 * `y` = `x`, float32 [N,1]: at once where every row is 0 or below, never where any row is above 0 (2^62 steps of a Loop,
 * inside native code: only killing the process ends it).
 */
export function endless() {
  const count = [
    node('ReduceMax', ['x'], ['most'], { keepdims: 0n }),
    node('Greater', ['most', 'zero'], ['stuck']),
    node('Cast', ['stuck'], ['flag'], { to: BigInt(DATA_TYPES.int64) }),
    node('Mul', ['flag', 'ever'], ['steps']),
  ];
  const ever = initializer('ever', 'int64', [], BigInt64Array.of(FOR_EVER));
  return loop(count, [initializer('zero', 'float32', [], [0]), ever]);
}

/**
 * `y` = `x`, float32 [N,1], after roughly as many milliseconds as the largest row says (0 or below: at once). The work is
 * a fixed number of Loop steps, so the time is another one on another machine: within a few times of it.
 */
export function slow() {
  const count = [
    node('ReduceMax', ['x'], ['most'], { keepdims: 0n }),
    node('Mul', ['most', 'rate'], ['product']),
    node('Cast', ['product'], ['steps'], { to: BigInt(DATA_TYPES.int64) }),
  ];
  return loop(count, [initializer('rate', 'float32', [], [STEPS_PER_MILLISECOND])]);
}

/** Decodes as ONNX, but ONNX Runtime refuses to load it: it has an operator that does not exist. */
export function unknownOperator() {
  return unary(['N', 4], [node('NoSuchOperator', ['x'], ['y'])]);
}

/**
 * What scikit-learn exports without `zipmap: False`: `x` float32 [N,2] -> `label` int64 [N], and `probabilities`, a
 * sequence of maps from class to float32, which is no tensor and which onnxruntime-node cannot return.
 */
export function zipMap() {
  const scores = sequenceType(mapType('int64', tensorType('float32', [])));
  return model({
    name: 'zip-map',
    nodes: [
      node('ArgMax', ['x'], ['label'], { axis: 1n, keepdims: 0n }),
      node('Softmax', ['x'], ['p'], { axis: 1n }),
      node('ZipMap', ['p'], ['probabilities'], { classlabels_int64s: [0n, 1n] }, { domain: 'ai.onnx.ml' }),
    ],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [value('label', 'int64', ['N']), typedValue('probabilities', scores)],
    mlOpset: 3,
  });
}

/**
 * `y` = `x` * 10, float32 [N,2], with the factors in a file of their own, to be put beside the model under `location`:
 * the layout of models over 2 GB.
 */
export function externalWeights(location = 'model.onnx.data') {
  const weights = create(TensorProtoSchema, {
    name: 'w',
    dataType: DATA_TYPES.float32,
    dims: [2n],
    dataLocation: DATA_LOCATION.external,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: '0' },
      { key: 'length', value: '8' },
    ],
  });
  const bytes = unary(['N', 2], [node('Mul', ['x', 'w'], ['y'])], [weights]);
  return { model: bytes, data: new Uint8Array(Float32Array.of(10, 10).buffer), location };
}

/**
 * Lays out a model folder: `<dir>/<name>/model.onnx`, and model.json and golden.json where given. `name` may end in a
 * version: `iris/2`. Gives the folder's path.
 */
export function writeModel(dir: string, name: string, bytes: Uint8Array, manifest?: object, golden?: object): string {
  const folder = join(dir, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  if (manifest !== undefined) writeFileSync(join(folder, 'model.json'), JSON.stringify(manifest));
  if (golden !== undefined) writeFileSync(join(folder, 'golden.json'), JSON.stringify(golden));
  return folder;
}
