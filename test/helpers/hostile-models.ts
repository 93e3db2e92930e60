/** Models that were made to harm the server that loads them. */
import { create } from '@bufbuild/protobuf';
import { DATA_LOCATION, DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { graph, initializer, localFunction, model, node, value } from '../../functions/onnx/proto/build.ts';
import { type NodeProto, type TensorProto, TensorProtoSchema } from '../../functions/onnx/proto/onnx_pb.ts';

const TERA = 2n ** 40n;
const FLOATS = { inputs: [value('x', 'float32', ['N', 1])], outputs: [value('y', 'float32', ['N', 1])] };

/** `y` = `x` + the sum of `c`, all float32. */
function addSum(nodes: readonly NodeProto[], initializers: readonly TensorProto[]): Uint8Array {
  const sum = [node('ReduceSum', ['c'], ['sum'], { keepdims: 0n }), node('Add', ['x', 'sum'], ['y'])];
  return model({ name: 'hostile', nodes: [...nodes, ...sum], initializers, ...FLOATS });
}

const one = initializer('one', 'float32', [1], [1]);
const shape = initializer('shape', 'int64', [1], BigInt64Array.of(TERA));

/** Few bytes, of which one operator makes 2^40 floats. By the operator. */
export const EXPANSIONS: Readonly<Record<string, Uint8Array>> = {
  ConstantOfShape: addSum([node('ConstantOfShape', ['shape'], ['c'])], [shape]),
  Expand: addSum([node('Expand', ['one', 'shape'], ['c'])], [shape, one]),
  Tile: addSum([node('Tile', ['one', 'shape'], ['c'])], [shape, one]),
  Range: addSum(
    [node('Range', ['from', 'to', 'step'], ['c'])],
    [
      initializer('from', 'float32', [], [0]),
      initializer('to', 'float32', [], [2 ** 40]),
      initializer('step', 'float32', [], [1]),
    ],
  ),
};

/** A weight of which the file has 8 bytes, and which declares these dims. */
export function declaring(dims: bigint[]): Uint8Array {
  return addSum(
    [],
    [create(TensorProtoSchema, { name: 'c', dataType: DATA_TYPES.float32, dims, rawData: new Uint8Array(8) })],
  );
}

/** A weight of two floats in another file. */
export function weightsAt(location: string, offset = '0'): Uint8Array {
  const externalData = Object.entries({ location, offset, length: '8' }).map(([key, text]) => ({ key, value: text }));
  const dataLocation = DATA_LOCATION.external;
  return addSum(
    [],
    [create(TensorProtoSchema, { name: 'c', dataType: DATA_TYPES.float32, dims: [2n], dataLocation, externalData })],
  );
}

/** Graphs in graphs. */
export function nestedGraphs(depth: number): Uint8Array {
  const leaf = graph({
    name: 'leaf',
    nodes: [node('Identity', ['x'], ['leaf'])],
    inputs: [],
    outputs: [value('leaf', 'float32')],
  });
  let body = leaf;
  for (let i = 1; i < depth; i++) {
    const branches = node('If', ['yes'], [`o${i}`], { then_branch: body, else_branch: leaf });
    body = graph({ name: `g${i}`, nodes: [branches], inputs: [], outputs: [value(`o${i}`, 'float32')] });
  }
  const nodes = [node('If', ['yes'], ['y'], { then_branch: body, else_branch: leaf })];
  return model({ name: 'nested', nodes, initializers: [initializer('yes', 'bool', [], [1])], ...FLOATS });
}

/** Functions that each call the one before twice: 2^depth nodes. With depth 0, one that calls itself. */
export function functionBomb(depth: number): Uint8Array {
  const call = (i: number, from: string, to: string): NodeProto => node(`f${i}`, [from], [to], {}, { domain: 'bomb' });
  const bodyOf = (i: number): NodeProto[] => {
    if (depth === 0) return [call(0, 'a', 'c')];
    return i === 0 ? [node('Neg', ['a'], ['c'])] : [call(i - 1, 'a', 'b'), call(i - 1, 'b', 'c')];
  };
  const functions = Array.from({ length: Math.max(1, depth) }, (_, i) =>
    localFunction({
      domain: 'bomb',
      name: `f${i}`,
      inputs: ['a'],
      outputs: ['c'],
      opsets: { '': 17, bomb: 1 },
      nodes: bodyOf(i),
    }),
  );
  return model({
    name: 'bomb',
    nodes: [call(functions.length - 1, 'x', 'y')],
    functions,
    opsets: { bomb: 1 },
    ...FLOATS,
  });
}

/** `y` = 2 `x`, with these names of the input and the output. */
export function named(input: string, output: string): Uint8Array {
  return model({
    name: input,
    nodes: [node('Add', [input, input], [output])],
    inputs: [value(input, 'float32', ['N', 1])],
    outputs: [value(output, 'float32', ['N', 1])],
  });
}

/** A varint of protobuf. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

/** Protobuf of ModelProto that no writer makes: with a graph field of these bytes. */
function wire(graphField: readonly number[]): Uint8Array {
  return Uint8Array.from([0x08, 8, 0x42, 2, 0x10, 17, 0x3a, ...graphField]);
}

/** A graph that declares 2^56 bytes; numbers without an end; and attributes in attributes, 5000 levels deep. */
export const WIRE: Readonly<Record<string, Uint8Array>> = {
  'a length beyond the file': wire([...varint(2 ** 48), 1]),
  'a number without an end': wire(new Array(32).fill(0xff)),
  'deep messages': (() => {
    let inner: number[] = [];
    // node, attribute, graph: the fields by which ONNX's messages nest.
    for (let i = 0; i < 5000; i++) inner = [[0x32, 0x2a, 0x0a][i % 3]!, ...varint(inner.length), ...inner];
    return wire([...varint(inner.length), ...inner]);
  })(),
};
