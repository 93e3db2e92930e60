import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type Attributes,
  functionKey,
  type GraphNode,
  type ModelGraph,
  readGraph,
} from '../../functions/onnx/graph.ts';
import { initializer, localFunction, model, node, value } from '../../functions/onnx/proto/build.ts';
import {
  type AttributeProto,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
} from '../../functions/onnx/proto/onnx_pb.ts';
import { type Bytes, openBytes, WireError } from '../../functions/onnx/wire.ts';
import { GRAPHS } from '../helpers/graphs/index.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field } from '../helpers/wire.ts';

const file = tempFiles('graph-');
let files = 0;

function withGraph<T>(content: Uint8Array, use: (graph: ModelGraph, bytes: Bytes) => T): T {
  const bytes = openBytes(file(`${files++}`, content));
  try {
    return use(readGraph(bytes), bytes);
  } finally {
    bytes.close();
  }
}

const domainOf = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

function compareAttribute(
  attributes: Attributes,
  { name, type, i, f, s, ints, floats, strings, t, g }: AttributeProto,
): void {
  assert.ok(attributes.has(name));
  if (type === 1) assert.equal(attributes.float(name), f);
  else if (type === 2) assert.equal(attributes.int(name), Number(i));
  else if (type === 3) assert.equal(attributes.text(name), Buffer.from(s).toString());
  else if (type === 4) assert.deepEqual(attributes.tensor(name)!.shape, t!.dims.map(Number));
  else if (type === 5) compareGraph(attributes.graph(name)!, g!);
  else if (type === 6) assert.deepEqual(attributes.floats(name), floats);
  else if (type === 7) assert.deepEqual(attributes.ints(name), ints.map(Number));
  else if (type === 8)
    assert.deepEqual(
      attributes.texts(name),
      strings.map((one) => Buffer.from(one).toString()),
    );
  else assert.fail(`attribute ${name} is of type ${type}`);
}

function compareNodes(nodes: readonly GraphNode[], expected: readonly NodeProto[]): void {
  assert.equal(nodes.length, expected.length);
  for (const [i, { name, domain, opType, input, output, attribute: attributes }] of expected.entries()) {
    const found = nodes[i]!;
    assert.deepEqual([found.name, found.domain, found.operator], [name, domainOf(domain), opType]);
    assert.deepEqual([found.inputs, found.outputs], [input, output]);
    for (const one of attributes) if (one.refAttrName === '') compareAttribute(found.attributes, one);
    assert.equal(
      found.attributes.hasGraph,
      attributes.some(({ g }) => g !== undefined),
    );
  }
}

function compareGraph(graph: ModelGraph['graph'], expected: GraphProto): void {
  compareNodes(graph.nodes, expected.node);
  assert.deepEqual(
    graph.inputs.map(({ name }) => name),
    expected.input.map(({ name }) => name),
  );
  assert.deepEqual(
    graph.outputs.map(({ name }) => name),
    expected.output.map(({ name }) => name),
  );
  for (const { name, dims } of expected.initializer)
    assert.deepEqual(graph.constants.get(name)!.shape, dims.map(Number));
}

test('every exported graph is read as the protobuf library reads it', () => {
  for (const { name, model: build } of GRAPHS) {
    const content = build();
    const expected = fromBinary(ModelProtoSchema, content);
    withGraph(content, ({ graph, opsets, functions }) => {
      compareGraph(graph, expected.graph!);
      for (const { domain, version } of expected.opsetImport)
        assert.equal(opsets.get(domainOf(domain)), Number(version), name);
      assert.equal(functions.size, expected.functions.length);
      for (const one of expected.functions) {
        const found = functions.get(functionKey(domainOf(one.domain), one.name, ''))!;
        compareNodes(found.nodes, one.node);
        assert.deepEqual([found.inputs, found.outputs], [one.input, one.output]);
      }
    });
  }
});

const parts = {
  name: 'main',
  nodes: [node('Relu', ['x'], ['y'])],
  inputs: [value('x', 'float32', ['N', 4, 'time', 0])],
  outputs: [value('y', 'float32')],
};

test('a dimension is a size, a name or open, which exporters also write as 0', () => {
  withGraph(model(parts), ({ graph }) => {
    assert.deepEqual(graph.inputs, [{ name: 'x', shape: ['N', 4, 'time', undefined] }]);
    assert.deepEqual(graph.outputs, [{ name: 'y', shape: undefined }]);
  });
});

test('a file truncated anywhere is an error', () => {
  const content = model({ ...parts, initializers: [initializer('c', 'int64', [2], [1, 2])] });
  for (let end = 1; end < content.length; end++) {
    const cut = content.slice(0, end);
    try {
      withGraph(cut, () => undefined);
    } catch (error) {
      assert.ok(error instanceof WireError, `${end}: ${error}`);
    }
  }
  assert.throws(() => withGraph(content.slice(0, -1), () => undefined), WireError);
});

test('an attribute is not read until it is used', () => {
  const list = Array.from({ length: 100_000 }, (_, i) => i);
  const content = model({ ...parts, nodes: [node('Tree', ['x'], ['y'], { values: list, depth: 3n })] });
  const bytes = openBytes(file('large', content));
  let read = 0;
  const counted: Bytes = {
    ...bytes,
    byte(at) {
      read++;
      return bytes.byte(at);
    },
  };
  const { graph } = readGraph(counted);
  assert.equal(graph.nodes[0]!.attributes.int('depth'), 3);
  assert.ok(read < 1000, `${read} bytes of ${content.length}`);
  assert.equal(graph.nodes[0]!.attributes.floats('values')!.length, list.length);
  bytes.close();
});

test('lists of integers are read packed and as a field each', () => {
  const list = (...fields: Uint8Array[]) => concat(field(1, 'axes'), ...fields, field(20, 7));
  for (const one of [list(field(8, 1), field(8, 300)), list(field(8, Uint8Array.of(0x01, 0xac, 0x02)))]) {
    const content = concat(field(7, field(1, concat(field(4, 'Squeeze'), field(5, one)))));
    withGraph(content, ({ graph }) => assert.deepEqual(graph.nodes[0]!.attributes.ints('axes'), [1, 300]));
  }
});

test('two versions of one operator set, and two functions of one name, are errors', () => {
  const opset = (version: number, domain = '') => field(8, concat(field(1, domain), field(2, version)));
  assert.throws(() => withGraph(concat(opset(12), opset(13, 'ai.onnx')), () => undefined), WireError);
  withGraph(concat(opset(12), opset(12)), ({ opsets }) => assert.equal(opsets.get(''), 12));
  const called = {
    domain: 'local',
    name: 'F',
    inputs: ['a'],
    outputs: ['b'],
    nodes: [node('Relu', ['a'], ['b'])],
    opsets: { '': 17 },
  };
  const functions = [localFunction(called), localFunction(called)];
  assert.throws(() => withGraph(model({ ...parts, functions }), () => undefined), WireError);
});
