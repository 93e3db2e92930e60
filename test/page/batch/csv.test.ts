import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import Papa from 'papaparse';
import { createCsvReader, createResultsCsv, writeCsv } from '../../../functions/page/batch/csv.ts';

/** All rows of a text that comes in pieces of `size` characters. */
function read(text: string, size = text.length || 1): string[][] {
  const reader = createCsvReader();
  const rows: string[][] = [];
  for (let i = 0; i < text.length; i += size) rows.push(...reader.push(text.slice(i, i + size)));
  return [...rows, ...reader.end()];
}

const CASES: [title: string, text: string, rows: string[][]][] = [
  [
    'lines',
    'a,b\n1,2\n',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  [
    'no line break at the end',
    'a,b\r\n1,2',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  ['quotes around separators, breaks and quotes', '"a,b","c\r\nd","e""f"\n', [['a,b', 'c\r\nd', 'e"f']]],
  [
    'a line break of another kind within quotes',
    '"a\nb",c\r\n1,2\r\n',
    [
      ['a\nb', 'c'],
      ['1', '2'],
    ],
  ],
  [
    'empty fields',
    ',\n"",x\n',
    [
      ['', ''],
      ['', 'x'],
    ],
  ],
  ['empty lines', 'a\n\n\r\nb\n', [['a'], ['b']]],
  ['carriage returns alone', 'a\rb\r', [['a'], ['b']]],
  [
    'semicolons',
    '1,5;2\n3;4\n',
    [
      ['1,5', '2'],
      ['3', '4'],
    ],
  ],
  ['tabs', 'a\tb,c\n', [['a', 'b,c']]],
  ['one column', '1\n2\n', [['1'], ['2']]],
  ['a quote within a field', 'a"b,c\n', [['a"b', 'c']]],
  ['nothing', '', []],
];

for (const [title, text, rows] of CASES) {
  test(`${title}: read the same, however the text is cut`, () => {
    for (let size = 1; size <= Math.max(1, text.length); size++) assert.deepEqual(read(text, size), rows, `by ${size}`);
  });
}

test('what writeCsv writes is read back', () => {
  const cell = fc.string({ unit: 'binary' }).filter((text) => !/^[=+\-@\t\r]/.test(text));
  const row = fc.array(cell, { minLength: 2, maxLength: 5 });
  const first = ['a', 'b'];
  fc.assert(
    fc.property(row, fc.integer({ min: 1, max: 7 }), (cells, size) => {
      // The first line says what the separator is.
      assert.deepEqual(read(writeCsv([first, cells]), size), [first, cells]);
    }),
  );
});

test('a text that a spreadsheet would run is made a text; numbers stay numbers', () => {
  assert.equal(writeCsv([['=1+1', '@x', '-1.5', -2, '-Infinity', '+a']]), "'=1+1,'@x,-1.5,-2,-Infinity,'+a\r\n");
});

test('a quote that is never closed is refused before it fills the memory', () => {
  const reader = createCsvReader();
  reader.push('a,b\n"');
  assert.throws(() => {
    for (let i = 0; i < 5; i++) reader.push('x'.repeat(8 * 2 ** 20));
  }, /longer than 32 MB/);
});

test('texts of commas, quotes and line breaks are read as papaparse reads them', () => {
  const piece = fc.constantFrom('a', '"', '""', ',', '\n', ' ', '"b"', '"c,\nd"', 'é');
  const isEven = (text: string): boolean => text.split('"').length % 2 === 1;
  // After a closing quote, and for a quote within a field, each reader has its own way.
  const isSound = (text: string): boolean =>
    isEven(text) && !/[^,\n"]"|"[^,\n"]/.test(text.replace(/(^|[,\n])"(?:[^"]|"")*"(?=[,\n]|$)/g, '$1'));
  fc.assert(
    fc.property(
      fc
        .array(piece, { maxLength: 30 })
        .map((parts) => `x,y\n${parts.join('')}`)
        .filter(isSound),
      (text) => {
        const { data } = Papa.parse<string[]>(text, { delimiter: ',', newline: '\n' });
        const rows = data.filter((row) => row.length > 1 || row[0]!.trim() !== '');
        assert.deepEqual(read(text, 3), rows);
      },
    ),
  );
});

test('results have the columns of the file, with names that are no result, and the reason of a failure', () => {
  const outputs = [
    { name: 'label', dtype: 'int64', shape: [-1] },
    { name: 'p', dtype: 'float32', shape: [-1, 2] },
  ];
  const writer = createResultsCsv({ outputs, classes: ['no', 'yes'] }, ['id', 'label']);
  assert.equal(writer.header(), 'index,id,label (file),prediction,label,label,p[no],p[yes],error\r\n');
  const good = { index: 0, prediction: 1, label: 'yes', outputs: { label: 1, p: [0.25, 0.75] } };
  const bad = { index: 1, error: { message: 'no' } };
  const rows = [writer.row(good, ['a7', '=x'], undefined), writer.row(bad, ['a8'], 'age: it is empty')];
  assert.equal(writeCsv(rows), "0,a7,'=x,1,yes,1,0.25,0.75,\r\n1,a8,,,,,,,age: it is empty\r\n");
});
