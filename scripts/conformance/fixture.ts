import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Datatype } from '../../clients/typescript/src/client.ts';
import { DATA_TYPES, type DataTypeName } from '../../functions/onnx/data-type.ts';
import { graph, initializer, model, node, type Shape, value } from '../../functions/onnx/proto/build.ts';

/** The protocol's datatypes, and ONNX's names for them. */
export const DTYPES: Readonly<Record<Datatype, DataTypeName>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};

/** Every datatype in one model: output `out_bool` is input `in_bool` [N,2], and so on. */
export const ALL_TYPES = 'all-types';
/** `c` = `a`, FP32 [N,2], and `d` = `b`, INT64 [N,1]. */
export const PAIR = 'pair';
/** `y` = `x`, [N,2]. */
export const IDENTITY = {
  FP32: 'identity-fp32',
  INT64: 'identity-int64',
  UINT8: 'identity-uint8',
  BOOL: 'identity-bool',
  BYTES: 'identity-bytes',
  FP16: 'identity-fp16',
} satisfies Partial<Record<Datatype, string>>;
/** `y` = logarithm of `x`, FP32 [N,1]: -Infinity for 0, NaN below. */
export const LOGARITHM = 'logarithm';
/** `y` = `x` + the version, FP32 [N,1]; versions 1 and 2. */
export const VERSIONED = 'versioned';
/** `y` FP32 [N,1] = 2 `x`; the model fails on an INT64 `x` [N,1] outside of 0 to {@link TABLE_SIZE} - 1. */
export const TABLE = 'table';
export const TABLE_SIZE = 1000;
/** `y` = `x`, FP32 [N,1], after {@link SLOW_STEPS_PER_UNIT} steps of a loop for each unit of the largest `x`. */
export const SLOW = 'slow';
const SLOW_STEPS_PER_UNIT = 1000;
/** The same model with a model.json that makes this project's server take some seconds to warm it up. */
export const STARTING = 'starting';
const STARTING_UNITS = 1500;

const MODELS: Readonly<Record<string, () => Uint8Array>> = {
  [`${ALL_TYPES}/1`]: () => {
    const types = Object.entries(DTYPES).map(([datatype, dtype]) => ({ name: datatype.toLowerCase(), dtype }));
    return model({
      name: ALL_TYPES,
      nodes: types.map(({ name }) => node('Identity', [`in_${name}`], [`out_${name}`])),
      inputs: types.map(({ name, dtype }) => value(`in_${name}`, dtype, ['N', 2])),
      outputs: types.map(({ name, dtype }) => value(`out_${name}`, dtype, ['N', 2])),
    });
  },
  [`${PAIR}/1`]: () =>
    model({
      name: PAIR,
      nodes: [node('Identity', ['a'], ['c']), node('Identity', ['b'], ['d'])],
      inputs: [value('a', 'float32', ['N', 2]), value('b', 'int64', ['N', 1])],
      outputs: [value('c', 'float32', ['N', 2]), value('d', 'int64', ['N', 1])],
    }),
  ...Object.fromEntries(
    Object.entries(IDENTITY).map(([datatype, name]) => {
      const dtype = DTYPES[datatype as Datatype];
      return [`${name}/1`, () => oneToOne(['N', 2], dtype, dtype, [node('Identity', ['x'], ['y'])])];
    }),
  ),
  [`${LOGARITHM}/1`]: () => oneToOne(['N', 1], 'float32', 'float32', [node('Log', ['x'], ['y'])]),
  [`${VERSIONED}/1`]: () => adding(1),
  [`${VERSIONED}/2`]: () => adding(2),
  [`${TABLE}/1`]: () => {
    const doubled = Array.from({ length: TABLE_SIZE }, (_, i) => 2 * i);
    const table = initializer('table', 'float32', [TABLE_SIZE], doubled);
    return oneToOne(['N', 1], 'int64', 'float32', [node('Gather', ['table', 'x'], ['y'])], [table]);
  },
  [`${SLOW}/1`]: slow,
  [`${STARTING}/1`]: slow,
};

/** Writes the models, `<folder>/<name>/<version>/model.onnx`: the layout that this server and Triton read. */
export function writeFixture(folder: string): void {
  for (const [path, make] of Object.entries(MODELS)) {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, 'model.onnx'), make());
  }
  const manifest = { example: { features: [STARTING_UNITS] }, batching: true };
  writeFileSync(join(folder, STARTING, '1', 'model.json'), JSON.stringify(manifest));
}

type Nodes = ReturnType<typeof node>[];
type Initializers = ReturnType<typeof initializer>[];

function oneToOne(shape: Shape, from: DataTypeName, to: DataTypeName, nodes: Nodes, initializers: Initializers = []) {
  return model({
    name: 'one-to-one',
    nodes,
    initializers,
    inputs: [value('x', from, shape)],
    outputs: [value('y', to, shape)],
  });
}

const adding = (constant: number) =>
  oneToOne(
    ['N', 1],
    'float32',
    'float32',
    [node('Add', ['x', 'constant'], ['y'])],
    [initializer('constant', 'float32', [], [constant])],
  );

function slow() {
  const body = graph({
    name: 'step',
    nodes: [node('Identity', ['go_on'], ['go_on_too']), node('Identity', ['state'], ['next'])],
    inputs: [value('step', 'int64', []), value('go_on', 'bool', []), value('state', 'float32', ['N', 1])],
    outputs: [value('go_on_too', 'bool', []), value('next', 'float32', ['N', 1])],
  });
  const nodes = [
    node('ReduceMax', ['x'], ['most'], { keepdims: 0n }),
    node('Mul', ['most', 'rate'], ['product']),
    node('Cast', ['product'], ['steps'], { to: BigInt(DATA_TYPES.int64) }),
    node('Loop', ['steps', '', 'x'], ['y'], { body }),
  ];
  const rate = initializer('rate', 'float32', [], [SLOW_STEPS_PER_UNIT]);
  return oneToOne(['N', 1], 'float32', 'float32', nodes, [rate]);
}
