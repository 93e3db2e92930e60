import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectNodes } from '../../../functions/cli/quantize/selection.ts';
import { graph, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';

const BODY = graph({
  name: 'then',
  nodes: [node('MatMul', ['x', 'w'], ['y'], {}, { name: '/then/fc' })],
  inputs: [],
  outputs: [value('y', 'float32')],
});
const MODEL = readModel(
  model({
    name: 'selection',
    inputs: [value('x', 'float32', [1, 1]), value('w', 'float32', [1, 1]), value('c', 'bool', [])],
    outputs: [value('z', 'float32')],
    nodes: [
      node('MatMul', ['x', 'w'], ['a'], {}, { name: '/encoder/fc.1' }),
      node('Gemm', ['a', 'w'], ['b'], {}, { name: '/decoder/fc.2' }),
      node('If', ['c'], ['z'], { then_branch: BODY, else_branch: BODY }),
    ],
  }),
  'selection',
);
const ALL = [...MODEL.graph!.node, ...BODY.node];

const chosen = (only: string[], exclude: string[]): string[] =>
  ALL.filter(selectNodes(MODEL, { only, exclude })).map(({ name, opType }) => name || opType);

test('without patterns every node is selected', () => {
  assert.deepEqual(chosen([], []), ['/encoder/fc.1', '/decoder/fc.2', 'If', '/then/fc']);
});

test('a pattern is a name or an operator, and * is any text', () => {
  assert.deepEqual(chosen(['MatMul'], []), ['/encoder/fc.1', '/then/fc']);
  assert.deepEqual(chosen(['/decoder/*', '/then/fc'], []), ['/decoder/fc.2', '/then/fc']);
  assert.deepEqual(chosen([], ['*/fc*']), ['If']);
  assert.deepEqual(chosen(['MatMul'], ['/encoder/*']), ['/then/fc']);
  assert.throws(() => chosen([], ['/encoder/fc?1']), /no node has this name/, 'only * has a meaning');
});

test('a pattern that fits no node is refused, with the operators of the model', () => {
  assert.throws(() => chosen([], ['Matmul']), {
    code: 'INVALID_INPUT',
    message:
      'Matmul: no node has this name, and no node this operator; the operators of the model are Gemm, If, MatMul',
  });
});
