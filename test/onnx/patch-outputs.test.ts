import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { inspectModel } from '../../functions/onnx/inspect.ts';
import { type OutputPatch, patchOutputs } from '../../functions/onnx/patch-outputs.ts';
import {
  type GraphParts,
  graph,
  mapType,
  model,
  node,
  sequenceType,
  tensorType,
  typedValue,
  value,
} from '../../functions/onnx/proto/build.ts';
import { GraphProtoSchema, ModelProtoSchema } from '../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../functions/onnx/proto/read.ts';
import { writeModel } from '../../functions/onnx/proto/write.ts';
import { classifier, scoreMaps, sequenceOutput, zipMapNode } from '../helpers/exported-models.ts';
import { tempFiles } from '../helpers/temp-file.ts';
import { concat, field } from '../helpers/wire.ts';

const file = tempFiles('patch-outputs-');
let files = 0;

function patch(bytes: Uint8Array): OutputPatch {
  const path = file(`${files++}.onnx`, bytes);
  const { outputs } = inspectModel(path);
  return patchOutputs(
    path,
    outputs.filter(({ isTensor }) => !isTensor),
  );
}

/** The nodes of a patched model, as `Operator(inputs) -> outputs`, and its outputs with their types. */
function shapeOf({ bytes }: OutputPatch): { nodes: string[]; outputs: string[] } {
  const { node: nodes, output } = readModel(bytes, 'patched').graph!;
  return {
    nodes: nodes.map(({ opType, input, output }) => `${opType}(${input}) -> ${output}`),
    outputs: output.map(({ name, type }) => {
      assert.ok(type?.value.case === 'tensorType', `${name} is a tensor`);
      const { elemType, shape } = type.value.value;
      return `${name}: ${elemType} [${shape?.dim.map((dim) => dim.value.value ?? '?')}]`;
    }),
  };
}

const scores = (name: string) => typedValue(name, scoreMaps('int64'));

/** A model of `x` float32 [N,2] with ZipMaps. */
function withZipMaps(parts: Pick<GraphParts, 'nodes' | 'outputs'>) {
  return model({ name: 'zip-maps', inputs: [value('x', 'float32', ['N', 2])], mlOpset: 3, ...parts });
}

const SOFTMAX = node('Softmax', ['x'], ['p'], { axis: 1n });

test("a classifier's scores become a float tensor, under the same name, with its labels", () => {
  for (const [labels, kind] of [
    [['setosa', 'versi "color', 'virgínica'], 'strings'],
    [[3, 7], 'int64s'],
    [[-1, 2 ** 40], 'int64s'],
  ] as const) {
    const patched = patch(classifier([...labels] as string[]));
    assert.deepEqual(patched.scores, [{ output: 'output_probability', labels: { kind, values: labels.map(String) } }]);
    const { nodes, outputs } = shapeOf(patched);
    assert.equal(nodes.at(-1), 'Identity(probabilities) -> output_probability');
    // TensorProto.DataType: FLOAT = 1.
    assert.equal(outputs[1], `output_probability: 1 [?,${labels.length}]`);
  }
});

test('the rest of the file stays the same', () => {
  const before = readModel(classifier([3, 7]), 'before');
  before.docString = 'kept';
  before.metadataProps.push({ $typeName: 'onnx.StringStringEntryProto', key: 'classes', value: 'kept, too' });
  // No version of ONNX has a field 99.
  const bytes = concat(writeModel(before), field(99, 'of the future'));
  const after = readModel(patch(bytes).bytes, 'after');
  assert.notDeepEqual(after.graph, before.graph);
  after.graph!.node[3] = before.graph!.node[3]!;
  after.graph!.output[1] = before.graph!.output[1]!;
  assert.deepEqual(writeModel(after), bytes);
});

test("an output's documentation and a node's name stay the same", () => {
  const zipMap = zipMapNode('x', 'z', [0, 1]);
  zipMap.name = 'the/zip map';
  const output = scores('z');
  output.docString = 'scores';
  const { graph } = readModel(patch(withZipMaps({ nodes: [zipMap], outputs: [output] })).bytes, 'patched');
  assert.deepEqual([graph?.node[0]?.name, graph?.node[0]?.domain, graph?.node[0]?.attribute], ['the/zip map', '', []]);
  assert.equal(graph?.output[0]?.docString, 'scores');
});

test('labels may be packed', () => {
  // NodeProto: input, output, op_type, domain, attribute { name, ints, type INTS }.
  const attribute = concat(field(1, 'classlabels_int64s'), field(8, Uint8Array.of(3, 0x96, 0x01)), field(20, 7));
  const ops = concat(field(4, 'ZipMap'), field(7, 'ai.onnx.ml'), field(5, attribute));
  const rest = toBinary(
    GraphProtoSchema,
    graph({ name: 'g', nodes: [], inputs: [value('x', 'float32', ['N', 2])], outputs: [scores('z')] }),
  );
  const graphBytes = concat(field(1, concat(field(1, 'x'), field(2, 'z'), ops)), rest);
  const { scores: patched } = patch(
    concat(field(1, 8), field(7, graphBytes), field(8, concat(field(1, 'ai.onnx.ml'), field(2, 3)))),
  );
  assert.deepEqual(patched[0]!.labels, { kind: 'int64s', values: ['3', '150'] });
});

test('several ZipMaps are removed, each with its own labels', () => {
  const nodes = [SOFTMAX, zipMapNode('p', 'a', [0, 1]), zipMapNode('x', 'b', [5, 6])];
  const patched = patch(withZipMaps({ nodes, outputs: [scores('b'), scores('a')] }));
  assert.deepEqual(
    patched.scores.map(({ output, labels }) => [output, labels.values]),
    [
      ['b', ['5', '6']],
      ['a', ['0', '1']],
    ],
  );
  assert.deepEqual(shapeOf(patched), {
    nodes: ['Softmax(x) -> p', 'Identity(p) -> a', 'Identity(x) -> b'],
    outputs: ['b: 1 [?,2]', 'a: 1 [?,2]'],
  });
});

test('scores that another node reads, or that are an output themselves, stay', () => {
  const nodes = [SOFTMAX, zipMapNode('p', 'z', [0, 1]), node('Log', ['p'], ['log'])];
  const outputs = [scores('z'), value('p', 'float32', ['N', 2]), value('log', 'float32', ['N', 2])];
  assert.deepEqual(shapeOf(patch(withZipMaps({ nodes, outputs }))), {
    nodes: ['Softmax(x) -> p', 'Identity(p) -> z', 'Log(p) -> log'],
    outputs: ['z: 1 [?,2]', 'p: 1 [N,2]', 'log: 1 [N,2]'],
  });
});

test('a ZipMap is found through Identities, and the types of the values between are removed', () => {
  const nodes = [SOFTMAX, zipMapNode('p', 'q', [0, 1]), node('Identity', ['q'], ['r']), node('Identity', ['r'], ['z'])];
  const before = readModel(withZipMaps({ nodes, outputs: [scores('z')] }), 'before');
  before.graph!.valueInfo.push(scores('q'), value('p', 'float32', ['N', 2]), scores('r'));
  const patched = patch(writeModel(before));
  assert.deepEqual(patched.scores, [{ output: 'z', labels: { kind: 'int64s', values: ['0', '1'] } }]);
  assert.deepEqual(shapeOf(patched).nodes.slice(1), ['Identity(p) -> q', 'Identity(q) -> r', 'Identity(r) -> z']);
  assert.deepEqual(
    readModel(patched.bytes, 'patched').graph?.valueInfo.map(({ name }) => name),
    ['p'],
  );
});

test('a ZipMap that gives no output stays', () => {
  const nodes = [SOFTMAX, zipMapNode('p', 'z', [0, 1]), zipMapNode('x', 'unused', [0, 1])];
  assert.deepEqual(shapeOf(patch(withZipMaps({ nodes, outputs: [scores('z')] }))).nodes.slice(1), [
    'Identity(p) -> z',
    'ZipMap(x) -> unused',
  ]);
});

test("the scores have the dtype of the maps' values", () => {
  const doubles = typedValue('z', sequenceType(mapType('int64', tensorType('float64', []))));
  const patched = patch(withZipMaps({ nodes: [zipMapNode('x', 'z', [0, 1])], outputs: [doubles] }));
  // TensorProto.DataType: DOUBLE = 11.
  assert.deepEqual(shapeOf(patched).outputs, ['z: 11 [?,2]']);
});

test('a sequence of tensors becomes an output for each, in its place among the others', () => {
  const sequence = typedValue('list', sequenceType(tensorType('float32')));
  const { bytes, scores: none } = patch(
    withZipMaps({
      nodes: [SOFTMAX, node('SequenceConstruct', ['p', 'x', 'p'], ['list']), node('SequenceLength', ['list'], ['n'])],
      outputs: [value('p', 'float32', ['N', 2]), sequence, value('n', 'int64', [])],
    }),
  );
  assert.deepEqual(none, []);
  const { node: nodes, output } = readModel(bytes, 'patched').graph!;
  assert.deepEqual(
    nodes.map(({ opType, input, output }) => `${opType}(${input}) -> ${output}`),
    [
      'Softmax(x) -> p',
      'SequenceConstruct(p,x,p) -> list',
      'Identity(p) -> list_0',
      'Identity(x) -> list_1',
      'Identity(p) -> list_2',
      'SequenceLength(list) -> n',
    ],
  );
  assert.deepEqual(
    output.map(({ name, type }) => [name, type?.value.case]),
    [
      ['p', 'tensorType'],
      ['list_0', undefined],
      ['list_1', undefined],
      ['list_2', undefined],
      ['n', 'tensorType'],
    ],
  );
});

test('a graph in two parts is one graph', () => {
  const half = (parts: Partial<GraphParts>) => graph({ name: 'g', nodes: [], inputs: [], outputs: [], ...parts });
  const part = (parts: Partial<GraphParts>) =>
    create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 17n }], graph: half(parts) });
  const first = writeModel(part({ nodes: [zipMapNode('x', 'z', [0, 1])], inputs: [value('x', 'float32', ['N', 2])] }));
  const { bytes } = patch(concat(first, writeModel(part({ outputs: [scores('z')] }))));
  const { node: nodes, output } = readModel(bytes, 'patched').graph!;
  assert.deepEqual([nodes[0]?.opType, output[0]?.type?.value.case], ['Identity', 'tensorType']);
});

const REFUSED: [title: string, bytes: Uint8Array, named: RegExp][] = [
  ['a sequence of tensors', sequenceOutput(), /: output parts is sequence of tensor\(float\), /],
  [
    'a sequence of maps that is not from a ZipMap',
    withZipMaps({
      nodes: [node('ZipMap', ['x'], ['z'], { classlabels_int64s: [0n] }, { domain: 'com.example' })],
      outputs: [scores('z')],
    }),
    /: output z is sequence of map\(int64, float\), /,
  ],
  [
    'a ZipMap without labels',
    withZipMaps({ nodes: [node('ZipMap', ['x'], ['z'], {}, { domain: 'ai.onnx.ml' })], outputs: [scores('z')] }),
    /: output z is sequence of map/,
  ],
  [
    'an Identity of itself',
    withZipMaps({ nodes: [node('Identity', ['z'], ['z'])], outputs: [scores('z')] }),
    /: output z is sequence of map/,
  ],
  [
    'a map beside a ZipMap that could be removed',
    withZipMaps({
      nodes: [zipMapNode('x', 'z', [0, 1]), node('Other', ['x'], ['m/1 a'], {}, { domain: 'com.example' })],
      outputs: [scores('z'), typedValue('m/1 a', mapType('string', sequenceType(tensorType('int64'))))],
    }),
    /: output m\/1 a is map\(string, sequence of tensor\(int64\)\), which onnxruntime-node cannot return/,
  ],
];
for (const [title, bytes, named] of REFUSED) {
  test(`${title} cannot be made a tensor, and is refused by name`, () => {
    assert.throws(() => patch(bytes), { code: 'MODEL_FAILED', message: named });
  });
}
