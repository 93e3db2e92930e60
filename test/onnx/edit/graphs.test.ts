import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allTensors,
  createNames,
  definitionsOf,
  removeUnusedInitializers,
  replaceUses,
  scopesOf,
  usesIn,
} from '../../../functions/onnx/edit/graphs.ts';
import { graph, initializer, localFunction, model, node, value } from '../../../functions/onnx/proto/build.ts';
import type { ModelProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';

const one = (name: string) => initializer(name, 'float32', [1], [1]);

/** `x` + `w`, then an If: its first branch reads `w` and `h` of the graph around, its second has a `w` of its own. */
function nested(irVersion = 8): ModelProto {
  const branch = (name: string, nodes: ReturnType<typeof node>[], initializers = [] as ReturnType<typeof one>[]) =>
    graph({ name, nodes, initializers, inputs: [], outputs: [value(`${name}_y`, 'float32')] });
  return readModel(
    model({
      name: 'nested',
      irVersion,
      nodes: [
        node('Add', ['x', 'w'], ['h']),
        node('If', ['c'], ['y'], {
          then_branch: branch('left', [node('Add', ['w', 'h'], ['left_y'])], [one('left_unused')]),
          else_branch: branch('right', [node('Add', ['w', 'h'], ['right_y'])], [one('w')]),
        }),
        node('own.call', ['x'], ['z'], {}, { name: 'call', domain: 'own' }),
      ],
      initializers: [one('w'), one('unused'), one('optional')],
      inputs: [value('x', 'float32', [1]), value('c', 'bool', []), value('optional', 'float32', [1])],
      outputs: [value('y', 'float32'), value('z', 'float32')],
      functions: [
        localFunction({
          domain: 'own',
          name: 'own.call',
          inputs: ['a'],
          outputs: ['b'],
          nodes: [node('Constant', [], ['k'], { value: one('') }), node('Add', ['a', 'k'], ['b'])],
          opsets: { '': 17 },
        }),
      ],
      opsets: { own: 1 },
    }),
    'nested',
  );
}

test('all graphs are walked: the own, those of branches, the bodies of functions', () => {
  const scopes = [...scopesOf(nested())];
  assert.deepEqual(
    scopes.map((scope) => scope.graph?.name ?? scope.function?.name),
    ['nested', 'left', 'right', 'own.call'],
  );
  assert.deepEqual(
    scopes.map(({ outer }) => outer?.graph?.name),
    [undefined, 'nested', 'nested', undefined],
  );
});

test('all tensors are found: initializers of every graph, and those of attributes', () => {
  assert.deepEqual(
    [...allTensors(nested())].map(({ tensor, isInitializer }) => `${tensor.name}${isInitializer ? '' : '(attribute)'}`),
    ['w', 'unused', 'optional', 'left_unused', 'w', '(attribute)'],
  );
});

test('a value is read by nodes of its graph and of those inside, but not where another of its name hides it', () => {
  const [outer] = scopesOf(nested());
  const uses = usesIn(outer!);
  assert.deepEqual(
    uses.of('w').map(({ node: { output }, input }) => [output[0], input]),
    [
      ['h', 1],
      ['left_y', 0],
    ],
  );
  assert.deepEqual(
    uses.of('h').map(({ node: { output } }) => output[0]),
    ['left_y', 'right_y'],
  );
  assert.ok(uses.isOutput('y'));
  assert.ok(uses.isUnused('unused'));
  assert.ok(!uses.isUnused('z'));
});

test('a value is replaced where it is read, but not if a graph inside hides the new one', () => {
  const parsed = nested();
  const [outer, left, right] = scopesOf(parsed);
  assert.ok(replaceUses(outer!, 'w', 'optional'));
  assert.deepEqual(outer!.nodes[0]!.input, ['x', 'optional']);
  assert.deepEqual(left!.nodes[0]!.input, ['optional', 'h']);
  assert.deepEqual(right!.nodes[0]!.input, ['w', 'h']);
  assert.ok(!replaceUses(outer!, 'h', 'w'), 'the branch has a w of its own');
  assert.deepEqual(left!.nodes[0]!.input, ['optional', 'h']);
});

test('a value of a function is replaced within it', () => {
  const body = [...scopesOf(nested())].at(-1)!;
  assert.ok(replaceUses(body, 'k', 'a'));
  assert.deepEqual(body.nodes[1]!.input, ['a', 'a']);
  assert.deepEqual([...definitionsOf(body)], ['a', 'k', 'b']);
});

test('a new name is one that nothing in the model has, and is given once', () => {
  const name = createNames(nested());
  assert.deepEqual(
    [name('new'), name('new'), name('left_y'), name('call'), name('k')],
    ['new', 'new_1', 'left_y_1', 'call_1', 'k_1'],
  );
});

test('initializers that nothing reads are removed, in every graph; those that a caller may replace stay', () => {
  const parsed = nested();
  assert.deepEqual(removeUnusedInitializers(parsed), ['unused', 'left_unused']);
  assert.deepEqual(
    [...allTensors(parsed)].map(({ tensor }) => tensor.name),
    ['w', 'optional', 'w', ''],
  );
});

test('up to IR version 3 every initializer is an input, which is removed with it', () => {
  const parsed = nested(3);
  assert.deepEqual(removeUnusedInitializers(parsed), ['unused', 'optional', 'left_unused']);
  assert.deepEqual(
    parsed.graph!.input.map(({ name }) => name),
    ['x', 'c'],
  );
});
