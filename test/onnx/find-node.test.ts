import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findNode } from '../../functions/onnx/find-node.ts';
import { graph, initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { oddNames } from '../helpers/exported-models.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const file = tempFiles('find-node-');

test('the first node of an operator is found by operator and domain; without a name, its output names it', () => {
  const path = file(
    'nodes.onnx',
    model({
      name: 'nodes',
      nodes: [
        node('Foo', ['x'], ['a']),
        node('Foo', ['a'], ['b'], {}, { name: 'the foo', domain: 'my.ops' }),
        node('Foo', ['b'], ['y'], {}, { name: 'the second', domain: 'my.ops' }),
      ],
      inputs: [value('x', 'float32', ['N'])],
      outputs: [value('y', 'float32', ['N'])],
    }),
  );
  assert.equal(findNode(path, 'Foo', 'my.ops'), 'the foo');
  assert.equal(findNode(path, 'Foo', ''), 'a');
  assert.equal(findNode(path, 'Bar', ''), undefined);
});

test('a node in the branch of an If is found', () => {
  assert.match(findNode(file('if.onnx', oddNames()), 'Add', '')!, /\/sum\.0$/);
  const inner = graph({
    name: 'inner',
    nodes: [node('Foo', ['x'], ['z'])],
    inputs: [],
    outputs: [value('z', 'float32')],
  });
  const outer = graph({
    name: 'outer',
    nodes: [node('If', ['yes'], ['w'], { then_branch: inner, else_branch: inner })],
    inputs: [],
    outputs: [value('w', 'float32')],
  });
  const path = file(
    'nested.onnx',
    model({
      name: 'nested',
      nodes: [node('If', ['yes'], ['y'], { then_branch: outer, else_branch: outer })],
      initializers: [initializer('yes', 'bool', [], [1])],
      inputs: [value('x', 'float32', ['N'])],
      outputs: [value('y', 'float32')],
    }),
  );
  assert.equal(findNode(path, 'Foo', ''), 'z');
});
