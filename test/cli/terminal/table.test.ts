import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from '../../../functions/cli/terminal/table.ts';

test('columns are as wide as their widest cell, to the left or to the right', () => {
  const lines = table(
    ['name', { title: 'bytes', align: 'right' }],
    [
      ['iris', '1'],
      ['a longer one', '1,000,000'],
    ],
  );
  assert.deepEqual(lines, ['  name              bytes', '  iris                  1', '  a longer one  1,000,000']);
});

test('a table without titles has no line for them, and missing cells are empty', () => {
  assert.deepEqual(table(['', '', ''], [['a', 'b'], ['cc']], { indent: 0 }), ['a   b', 'cc']);
});

test('colours do not count as width', () => {
  const lines = table(
    ['', ''],
    [
      ['\u001b[32myes\u001b[39m', 'x'],
      ['no', 'y'],
    ],
  );
  assert.deepEqual(lines, ['  \u001b[32myes\u001b[39m  x', '  no   y']);
});

test('titles are styled once they are aligned', () => {
  const lines = table(['a', 'b'], [['long', '1']], { styleTitle: (title) => `<${title}>` });
  assert.deepEqual(lines, ['  <a>     <b>', '  long  1']);
});
