import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  graph,
  initializer,
  localFunction,
  mapType,
  model,
  node,
  sequenceType,
  tensorType,
  typedValue,
  value,
} from '../../../functions/onnx/proto/build.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { concat, field } from '../../helpers/wire.ts';

const edge = { inputs: [value('x', 'float32', ['N'])], outputs: [value('y', 'float32', ['N'])] };

test('a model is the bytes that onnx.proto gives for it', () => {
  // Field numbers from the official onnx/onnx.proto. FLOAT is data type 1, INT attribute type 2.
  const shape = field(2, concat(field(1, field(2, 'N')), field(1, field(1, 4))));
  const type = field(2, field(1, concat(field(1, 1), shape)));
  const axis = concat(field(1, 'axis'), field(3, 1), field(20, 2));
  const op = concat(field(1, 'x'), field(2, 'y'), field(4, 'Softmax'), field(5, axis));
  const edges = concat(field(11, concat(field(1, 'x'), type)), field(12, concat(field(1, 'y'), type)));
  const expected = concat(
    field(1, 8),
    field(2, 'onnx-cloud-run'),
    field(7, concat(field(1, op), field(2, 'g'), edges)),
    field(8, concat(field(1, ''), field(2, 17))),
  );
  const bytes = model({
    name: 'g',
    nodes: [node('Softmax', ['x'], ['y'], { axis: 1n })],
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32', ['N', 4])],
  });
  assert.deepEqual(bytes, expected);
});

test('operator sets, producer, IR version and metadata are as given', () => {
  const nodes = [node('Normalizer', ['x'], ['y'], {}, { name: 'n', domain: 'ai.onnx.ml' })];
  const parts = { ...edge, name: 'g', nodes, opset: 13, mlOpset: 3, irVersion: 7, producer: 'p', metadata: { k: 'v' } };
  const built = readModel(model(parts), 'built');
  assert.deepEqual(
    built.opsetImport.map(({ domain, version }) => [domain, version]),
    [
      ['', 13n],
      ['ai.onnx.ml', 3n],
    ],
  );
  assert.deepEqual([built.irVersion, built.producerName], [7n, 'p']);
  assert.deepEqual([built.metadataProps[0]?.key, built.metadataProps[0]?.value], ['k', 'v']);
  assert.deepEqual([built.graph?.node[0]?.name, built.graph?.node[0]?.domain], ['n', 'ai.onnx.ml']);
});

test('functions, the operator sets of their domains and the types of inner values are as given', () => {
  const parts = { domain: 'my.lib', name: 'Twice', inputs: ['a'], outputs: ['b'], opsets: { '': 17 } };
  const body = [
    node('Add', ['a', 'a'], ['c']),
    node('Softmax', ['c'], ['b'], { axis: { refersTo: 'dim', type: 'int' } }),
  ];
  const twice = localFunction({ ...parts, nodes: body, attributes: ['dim'] });
  const nodes = [node('Twice', ['x'], ['z'], {}, { domain: 'my.lib' }), node('Neg', ['z'], ['y'])];
  const valueInfo = [value('z', 'float32', ['N'])];
  const bytes = model({ ...edge, name: 'g', nodes, functions: [twice], opsets: { 'my.lib': 1 }, valueInfo });
  const built = readModel(bytes, 'built');
  assert.deepEqual(
    built.opsetImport.map(({ domain, version }) => [domain, version]),
    [
      ['', 17n],
      ['my.lib', 1n],
    ],
  );
  const [added] = built.functions;
  assert.deepEqual([added?.domain, added?.name, added?.input, added?.output], ['my.lib', 'Twice', ['a'], ['b']]);
  assert.deepEqual([added?.node[0]?.opType, added?.opsetImport[0]?.version], ['Add', 17n]);
  const axis = added?.node[1]?.attribute[0];
  assert.deepEqual([added?.attribute, axis?.name, axis?.refAttrName, axis?.type], [['dim'], 'axis', 'dim', 2]);
  assert.equal(built.graph?.valueInfo[0]?.name, 'z');
});

test('each kind of attribute is written to its own field, with its type', () => {
  const body = graph({ ...edge, name: 'body', nodes: [node('Identity', ['x'], ['y'])] });
  const utf8 = (text: string) => new TextEncoder().encode(text);
  const { attribute } = node('Any', [], [], {
    int: 3n,
    float: 0.5,
    string: 'ø',
    tensor: initializer('t', 'float32', [], [1]),
    graph: body,
    floats: [1, 2],
    ints: [1n, 2n],
    strings: ['a', 'b'],
  });
  // AttributeType numbers of onnx.proto.
  assert.deepEqual(
    attribute.map((item) => [item.name, item.type]),
    Object.entries({ int: 2, float: 1, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 }),
  );
  const [int, float, string, tensor, inner, floats, ints, strings] = attribute;
  assert.deepEqual([int?.i, float?.f, string?.s], [3n, 0.5, utf8('ø')]);
  assert.deepEqual([tensor?.t?.name, inner?.g?.name], ['t', 'body']);
  assert.deepEqual(
    [floats?.floats, ints?.ints, strings?.strings],
    [
      [1, 2],
      [1n, 2n],
      [utf8('a'), utf8('b')],
    ],
  );
});

test('an attribute list that is empty or mixed is refused', () => {
  for (const list of [[], [1, 2n]]) {
    assert.throws(() => node('Any', [], [], { axes: list as number[] }), /attribute axes: expected a list of one kind/);
  }
});

test('a value has its type and shape; without a shape its rank is unknown, which is not rank 0', () => {
  const shapeOf = (type: ReturnType<typeof tensorType>) =>
    type.value.case === 'tensorType' ? type.value.value.shape?.dim.map((dim) => dim.value.value) : 'no tensor';
  assert.deepEqual(shapeOf(tensorType('int64', ['N', 2])), ['N', 2n]);
  assert.deepEqual(shapeOf(tensorType('int64', [])), []);
  assert.deepEqual(shapeOf(tensorType('int64')), undefined);
});

test('sequences and maps nest', () => {
  const { type } = typedValue('p', sequenceType(mapType('int64', tensorType('float32', []))));
  assert.ok(type?.value.case === 'sequenceType');
  const map = type.value.value.elemType?.value;
  assert.ok(map?.case === 'mapType');
  assert.equal(map.value.keyType, 7);
  assert.equal(map.value.valueType?.value.case, 'tensorType');
});

test('the same parts give the same bytes', () => {
  const make = () => model({ ...edge, name: 'g', nodes: [node('Elu', ['x'], ['y'], { alpha: 0.1 })] });
  assert.deepEqual(make(), make());
});
