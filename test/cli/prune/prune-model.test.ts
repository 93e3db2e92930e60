import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { countNodes, pruneModel } from '../../../functions/cli/prune/prune-model.ts';
import { ServingError } from '../../../functions/errors.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import {
  graph,
  initializer,
  localFunction,
  type ModelParts,
  model,
  node,
  value,
} from '../../../functions/onnx/proto/build.ts';
import type { NodeProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { writeModel } from '../../../functions/onnx/proto/write.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const file = tempFiles('prune-');
const X = value('x', 'float32', ['N', 4]);
const Y = value('y', 'float32', ['N', 4]);
const weights = (name: string, fill = 1) => initializer(name, 'float32', [4], new Float32Array(4).fill(fill));

function open(nodes: NodeProto[], parts: Partial<ModelParts> = {}) {
  return openModel(file('model.onnx', model({ name: 'net', nodes, inputs: [X], outputs: [Y], ...parts })));
}

const operators = ({ graph: { node: nodes } }: ReturnType<typeof open>): string[] =>
  nodes.map(({ opType, input, output }) => `${opType}(${input})=${output}`);
const initializers = ({ graph: { initializer: tensors } }: ReturnType<typeof open>): string[] =>
  tensors.map(({ name }) => name);

test('an Identity is removed: its readers read its input, and one that is an output gives its name to its input', async () => {
  const opened = open([
    node('Identity', ['x'], ['a']),
    node('Relu', ['a'], ['b']),
    node('Identity', ['b'], ['c']),
    node('Identity', ['c'], ['y']),
  ]);
  const { passThroughs } = await pruneModel(opened);
  assert.deepEqual(operators(opened), ['Relu(x)=y']);
  assert.deepEqual([...passThroughs], [['Identity', 3]]);
});

test('an Identity of an input, of an initializer or of another output stays if it is an output', async () => {
  const nodes = [
    node('Identity', ['x'], ['y']),
    node('Identity', ['w'], ['v']),
    node('Relu', ['x'], ['r']),
    node('Identity', ['r'], ['s']),
  ];
  const outputs = ['y', 'v', 'r', 's'].map((name) => value(name, 'float32'));
  const opened = open(nodes, { outputs, initializers: [weights('w')] });
  await pruneModel(opened);
  assert.deepEqual(operators(opened), ['Identity(x)=y', 'Identity(w)=v', 'Relu(x)=r', 'Identity(r)=s']);
});

test('an Identity whose input is hidden from a reader, by a value of a graph inside, stays', async () => {
  const branch = (name: string) =>
    graph({
      name,
      nodes: [node('Add', ['a', 'w'], [name])],
      initializers: [weights('w', 2)],
      inputs: [],
      outputs: [value(name, 'float32')],
    });
  const nodes = [
    node('Identity', ['w'], ['a']),
    node('If', ['c'], ['y'], { then_branch: branch('then'), else_branch: branch('else') }),
  ];
  const opened = open(nodes, { inputs: [X, value('c', 'bool', [])], initializers: [weights('w')] });
  await pruneModel(opened);
  assert.equal(operators(opened)[0], 'Identity(w)=a');
});

const DROPOUTS: [title: string, dropout: NodeProto, opset: number, isRemoved: boolean][] = [
  ['before operator set 12', node('Dropout', ['a'], ['b'], { ratio: 0.5 }), 11, true],
  ['without training_mode', node('Dropout', ['a'], ['b', 'mask']), 13, true],
  ['with training_mode false', node('Dropout', ['a', 'half', 'no'], ['b']), 13, true],
  ['with training_mode true', node('Dropout', ['a', 'half', 'yes'], ['b']), 13, false],
  ['with a training_mode that a caller gives', node('Dropout', ['a', '', 'mode'], ['b']), 13, false],
  ['whose mask is read', node('Dropout', ['a'], ['b', 'read']), 13, false],
];
for (const [title, dropout, opset, isRemoved] of DROPOUTS) {
  test(`a Dropout ${title} ${isRemoved ? 'is removed' : 'stays'}`, async () => {
    const nodes = [node('Relu', ['x'], ['a']), dropout, node('Neg', ['b'], ['y']), node('Not', ['read'], ['z'])];
    const hasMask = dropout.output.includes('read');
    const opened = open(nodes, {
      opset,
      inputs: [X, value('mode', 'bool', [])],
      outputs: [Y, ...(hasMask ? [value('z', 'bool')] : [])],
      initializers: [
        initializer('half', 'float32', [], [0.5]),
        initializer('no', 'bool', [], [0]),
        initializer('yes', 'bool', [], [1]),
      ],
    });
    const { trainingDropouts } = await pruneModel(opened);
    assert.equal(
      operators(opened).some((one) => one.startsWith('Dropout')),
      !isRemoved,
    );
    assert.equal(trainingDropouts.length, !isRemoved && !hasMask ? 1 : 0);
    if (isRemoved) assert.deepEqual(initializers(opened), []);
  });
}

test('what only training has is removed: training_info, statistics of a batch, attributes', async () => {
  const parsed = readModel(
    model({
      name: 'net',
      nodes: [
        node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['n', 'mean', 'var'], { momentum: 0.9, epsilon: 1e-5 }),
        node('BatchNormalization', ['n', 's', 'b', 'm', 'v'], ['y', 'mean2', 'var2'], {
          training_mode: 1n,
          momentum: 0.9,
        }),
      ],
      initializers: ['s', 'b', 'm', 'v'].map((name, i) => weights(name, i + 1)),
      inputs: [X],
      outputs: [Y],
    }),
    'net',
  );
  parsed.$unknown = [
    { no: 20, wireType: 2, data: Uint8Array.of(0) },
    { no: 900, wireType: 0, data: Uint8Array.of(1) },
  ];
  const opened = openModel(file('training.onnx', writeModel(parsed)));
  const { training } = await pruneModel(opened);
  assert.deepEqual(training, { steps: 1, outputs: 2, attributes: 1 });
  assert.deepEqual(
    opened.proto.$unknown?.map(({ no }) => no),
    [900],
  );
  const [inference, inTraining] = opened.graph.node;
  assert.deepEqual([inference!.output, inference!.attribute.map(({ name }) => name)], [['n'], ['epsilon']]);
  assert.deepEqual([inTraining!.output.length, inTraining!.attribute.length], [3, 2]);
});

test('equal initializers become one, by type, shape and bytes; those that callers replace, and outputs, stay', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const opened = open([node('Sum', ['x', ...names, 'whole', 'zero', 'minus'], ['y'])], {
    inputs: [X, value('d', 'float32', [4])],
    outputs: [Y, value('e', 'float32', [4])],
    initializers: [
      ...names.map((name) => weights(name, name === 'c' ? 2 : 1)),
      initializer('whole', 'int32', [4], [1, 1, 1, 1]),
      initializer('zero', 'float32', [4], [0, 0, 0, 0]),
      initializer('minus', 'float32', [4], [-0, 0, 0, 0]),
    ],
  });
  const { duplicates, initializers: unused } = await pruneModel(opened);
  assert.deepEqual([duplicates.count, duplicates.bytes, unused], [1, 16, 0]);
  assert.deepEqual(opened.graph.node[0]!.input, ['x', 'a', 'a', 'c', 'd', 'e', 'whole', 'zero', 'minus']);
  assert.deepEqual(initializers(opened), ['a', 'c', 'd', 'e', 'whole', 'zero', 'minus']);
});

test('equal texts become one, and large initializers are compared in the file', async () => {
  const large = (name: string, last: number) =>
    initializer(name, 'float32', [64, 64], new Float32Array(4096).fill(3).fill(last, 4095));
  const opened = open([node('LabelEncoder', ['s', 't'], ['u']), node('Sum', ['p', 'q', 'r'], ['y'])], {
    outputs: [Y, value('u', 'string')],
    initializers: [
      initializer('s', 'string', [2], ['a', 'bc']),
      initializer('t', 'string', [2], ['a', 'bc']),
      initializer('v', 'string', [2], ['ab', 'c']),
      large('p', 3),
      large('q', 3),
      large('r', 4),
    ],
  });
  assert.equal((await pruneModel(opened)).duplicates.count, 2);
  assert.deepEqual(
    opened.graph.node.map(({ input }) => input),
    [
      ['s', 's'],
      ['p', 'p', 'r'],
    ],
  );
});

test('with --outputs, what only the other outputs need is removed; inputs stay, and are named', async () => {
  const opened = open(
    [
      node('Relu', ['x'], ['y']),
      node('own.call', ['z'], ['b'], {}, { domain: 'own' }),
      node('Add', ['b', 'w'], ['other']),
    ],
    {
      inputs: [X, value('z', 'float32', ['N', 4])],
      outputs: [Y, value('other', 'float32')],
      initializers: [weights('w')],
      valueInfo: [value('b', 'float32', ['N', 4])],
      opsets: { own: 1 },
      functions: [
        localFunction({
          domain: 'own',
          name: 'own.call',
          inputs: ['a'],
          outputs: ['b'],
          nodes: [node('Neg', ['a'], ['b'])],
          opsets: { '': 17 },
        }),
      ],
    },
  );
  const pruned = await pruneModel(opened, { outputs: ['y'] });
  assert.deepEqual(
    [pruned.outputs, pruned.nodes, pruned.functions, pruned.initializers],
    [['other'], 2, ['own.call'], 1],
  );
  assert.deepEqual(pruned.unusedInputs, ['z']);
  assert.deepEqual(
    opened.graph.input.map(({ name }) => name),
    ['x', 'z'],
  );
  assert.deepEqual(opened.graph.valueInfo, []);
  assert.equal(countNodes(opened), 1);
});

test('a function that another one calls stays with it', async () => {
  const call = (name: string, inner: string) =>
    localFunction({
      domain: 'own',
      name,
      inputs: ['a'],
      outputs: ['b'],
      nodes: [node(inner, ['a'], ['b'], {}, { domain: inner === 'Neg' ? '' : 'own' })],
      opsets: { '': 17, own: 1 },
    });
  const opened = open([node('outer', ['x'], ['y'], {}, { domain: 'own' })], {
    opsets: { own: 1 },
    functions: [call('outer', 'inner'), call('inner', 'Neg'), call('alone', 'inner')],
  });
  assert.deepEqual((await pruneModel(opened)).functions, ['alone']);
});

test('outputs that the model does not have are refused, with those that it has', async () => {
  for (const [outputs, reason] of [
    [['y', 'z'], /expected some of its outputs \(y\), got z$/],
    [[], /expected some of its outputs \(y\), got none$/],
  ] as const) {
    await assert.rejects(pruneModel(open([node('Relu', ['x'], ['y'])]), { outputs }), (error) => {
      return error instanceof ServingError && reason.test(error.message);
    });
  }
});

test('an aborted comparison of initializers ends with the reason', async (t: TestContext) => {
  const opened = open([node('Sum', ['x', 'a', 'b'], ['y'])], { initializers: [weights('a'), weights('b')] });
  const controller = new AbortController();
  const onProgress = t.mock.fn(() => controller.abort(new Error('stop')));
  await assert.rejects(pruneModel(opened, { signal: controller.signal, onProgress }), /^Error: stop$/);
  assert.equal(onProgress.mock.callCount(), 1);
});
