import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSame, isSameAxis, merge } from '../../../functions/batching/values/merge.ts';
import { newSize, type Operation } from '../../../functions/batching/values/operation.ts';
import { number, ONE, ROW_COUNT, symbol } from '../../../functions/batching/values/size.ts';
import {
  constant,
  countedConstant,
  type Lost,
  rowAxis,
  type Tracked,
  withRows,
} from '../../../functions/batching/values/tracked-value.ts';
import { Attributes } from '../../../functions/onnx/graph.ts';

const operation: Operation = {
  type: 'If',
  node: 'if',
  id: '7',
  opset: 17,
  inputs: [],
  outputs: 1,
  attributes: new Attributes(undefined as never, [], 0),
};
const merged = (a: Tracked | Lost, b: Tracked | Lost) => merge(operation, 0, a, b);
const lost: Lost = { lost: 'mixed', operator: 'ReduceSum', node: 'sum', reason: 'it reduces over the rows' };
const rows = withRows(rowAxis(0), [ROW_COUNT, number(4)]);

test('what is known of both values is known of their merge', () => {
  for (const one of [rows, constant([number(2)], [ONE, symbol('a')]), countedConstant([ONE])]) {
    assert.equal(merged(one, { ...one }), one);
  }
});

test('a size that differs is not known', () => {
  const other = withRows(rowAxis(0), [ROW_COUNT, number(3)]);
  assert.deepEqual(merged(rows, other), withRows(rowAxis(0), [ROW_COUNT, newSize(operation, '0:1')]));
});

test('elements that differ are not followed, but that either depends on the number of rows is', () => {
  const [two, three] = [constant([ONE], [number(2)]), constant([ONE], [number(3)])];
  assert.deepEqual(merged(two, three), constant([ONE]));
  assert.deepEqual(merged(two, constant([ONE], [ROW_COUNT])), countedConstant([ONE]));
});

test('rows in some runs only, or along another axis, are mixed', () => {
  for (const other of [
    constant([ONE, number(4)]),
    withRows(rowAxis(1), [number(4), ROW_COUNT]),
    withRows(rowAxis(0, ONE, number(2))),
  ]) {
    const found = merged(rows, other) as Lost;
    assert.deepEqual([found.lost, found.operator], ['mixed', 'If']);
  }
});

test('a lost value stays lost, with its own reason', () => {
  assert.equal(merged(rows, lost), lost);
  assert.equal(merged(lost, rows), lost);
});

test('numbers of rows, padded values and sequences merge only with values of the same kind', () => {
  const kinds: Tracked[] = [
    { ...rows, numbering: { stride: ONE, below: ONE } },
    { ...rows, leadsWithRow: true },
    { ...rows, padding: '' },
    { ...rows, isSequence: true },
  ];
  for (const one of kinds) {
    assert.equal((merged(one, rows) as Lost).lost, 'unknown');
    assert.equal((merged(rows, one) as Lost).lost, 'unknown');
    assert.equal(merged(one, { ...one }), one);
    assert.ok(!isSame(one, rows));
  }
});

test('rows have the same places if axis, outer and inner are the same', () => {
  assert.ok(isSameAxis(rowAxis(1, symbol('a'), number(2)), rowAxis(1, symbol('a'), number(2))));
  for (const other of [
    rowAxis(0, symbol('a'), number(2)),
    rowAxis(1, ONE, number(2)),
    rowAxis(1, symbol('a')),
    undefined,
  ]) {
    assert.ok(!isSameAxis(rowAxis(1, symbol('a'), number(2)), other));
  }
  assert.ok(isSameAxis(undefined, undefined));
});
