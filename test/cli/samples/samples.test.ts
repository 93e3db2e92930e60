import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { readSamples } from '../../../functions/cli/samples/samples.ts';
import { ServingError } from '../../../functions/errors.ts';
import type { RowForm } from '../../../functions/model/folder/rows.ts';
import type { TensorSpec } from '../../../functions/tensor/tensor.ts';

const folder = mkdtempSync(join(tmpdir(), 'samples-'));
after(() => rmSync(folder, { recursive: true }));

const form = (...inputs: TensorSpec[]): RowForm => ({
  signature: { inputs, outputs: [] },
  names: undefined,
  joinsRows: true,
});
const x = (shape: number[], dtype: TensorSpec['dtype'] = 'float32', name = 'x'): TensorSpec => ({ name, dtype, shape });

/** Four values with names, as iris has them. */
const NAMED: RowForm = { ...form(x([-1, 4])), names: ['a', 'b', 'c', 'd'] };
const COLUMNS = form(x([-1, 1], 'float32', 'age'), x([-1, 1], 'string', 'city'), x([-1, 1], 'int64', 'id'));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const read = (name: string, text: string, model: RowForm, most?: number) => [
  ...readSamples(write(name, text), model, most),
];
/** The values of the inputs of each row. */
const values = (name: string, text: string, model: RowForm, most?: number): unknown[][] =>
  read(name, text, model, most).map(({ feeds }) => feeds.tensors.map(({ data }) => Array.from(data as never[])));
const refused = (name: string, text: string, model: RowForm, message: string): void => {
  assert.throws(
    () => read(name, text, model),
    (error) =>
      error instanceof ServingError && error.code === 'INVALID_INPUT' && error.message === `${folder}/${message}`,
  );
};

describe('a CSV file', () => {
  test('has columns under the names of the features, in any order and among others', () => {
    assert.deepEqual(values('t.csv', 'id,d,c,b,a\n7,4,3,2,1\n8,.4,3.,+2,1e1\n', NAMED), [
      [[1, 2, 3, 4]],
      [[10, 2, 3, Math.fround(0.4)]],
    ]);
  });

  test('without these names has the values of a row in their order, below a header of other names or none', () => {
    for (const text of [
      '1,2,3,4\n5,6,7,8\n',
      'p;q;r;s\r\n1;2;3;4\r\n\r\n5;6;7;8',
      '\ufeffp\tq\tr\ts\n1\t2\t3\t4\n5\t6\t7\t8',
    ]) {
      assert.deepEqual(values('t.tsv', text, NAMED), [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]);
    }
  });

  test('has a column for each input of a model with several, each of its dtype', () => {
    const [row, second] = read('t.csv', 'city,id,age\n"Oslo, N",9007199254740993,41\n" 7 ",-1,\n', COLUMNS);
    assert.deepEqual(
      row!.feeds.tensors.map(({ data }) => Array.from(data as never[])),
      [[41], ['Oslo, N'], [9007199254740993n]],
    );
    assert.deepEqual(second!.feeds.tensors[1]!.data, [' 7 ']);
    assert.deepEqual(second!.feeds.tensors[0]!.data, Float32Array.of(Number.NaN));
    assert.deepEqual({ ...(row!.features as object) }, { age: 41, city: 'Oslo, N', id: 9007199254740993n });
  });

  test('has a column for each value of a matrix, row by row, or one of the JSON of an input', () => {
    const matrix = form(x([-1, 2, 2]));
    assert.deepEqual(values('t.csv', '1,2,3,4\n', matrix), [[[1, 2, 3, 4]]]);
    assert.deepEqual(values('t.csv', 'x[0],x[1],x[2],x[3]\n1,2,3,4\n', matrix), [[[1, 2, 3, 4]]]);
    assert.deepEqual(values('t.csv', 'x,id\n"[[1,2],[3,4]]",9\n', matrix), [[[1, 2, 3, 4]]]);
    assert.deepEqual(values('t.csv', '"[1,2,3]"\n"[1]"\n', form(x([-1, -1], 'int64'))), [[[1n, 2n, 3n]], [[1n]]]);
  });

  test('has booleans and missing numbers in the forms that programs write', () => {
    assert.deepEqual(values('t.csv', 'x[0],x[1],x[2],x[3]\ntrue,False,1,0\n', form(x([-1, 4], 'bool'))), [
      [[1, 0, 1, 0]],
    ]);
    assert.deepEqual(values('t.csv', 'a,b,c,d\n,nan,-inf,Infinity\n', NAMED), [
      [[Number.NaN, Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]],
    ]);
  });

  test('is read as far as the most rows that are wanted', () => {
    assert.deepEqual(values('t.csv', 'a,b,c,d\n1,2,3,4\n5,6,7,8\nnone,6,7,8\n', NAMED, 2), [
      [[1, 2, 3, 4]],
      [[5, 6, 7, 8]],
    ]);
  });

  test('with a fault is refused with the line, the column, what is expected and what is there', () => {
    const cases: [text: string, model: RowForm, message: string][] = [
      ['a,b,c,d\n1,2,3,4\n\n1,2,three,4\n', NAMED, 't.csv:4: column 3 (c): expected a number (float32), got "three"'],
      ['n,c,a,b,d\n"x\ny",2,3,4,5\nx,q,3,4,5\n', NAMED, 't.csv:4: column 2 (c): expected a number (float32), got "q"'],
      ['a,b,c,d\n1,2,3\n', NAMED, 't.csv:2: expected 4 cells, as the first row has, got 3'],
      ['a,b,c,e\n1,2,3,4\n', NAMED, 't.csv:1: the header has no column d'],
      ['1,2,3\n', NAMED, 't.csv:1: expected 4 columns (a, b, c, d), or a header with these names, got 3'],
      ['a,b,c,d\n1,2,"3,4\n', NAMED, 't.csv:2: Quoted field unterminated'],
      [
        'age,city,id\n41,Oslo,1.5\n',
        COLUMNS,
        't.csv:2: column 3 (id): expected an integer from -9223372036854775808 to 9223372036854775807 (int64), got 1.5',
      ],
      ['a,b,c,d\n', NAMED, 't.csv: it has no rows'],
      ['', NAMED, 't.csv: it has no rows'],
    ];
    for (const [text, model, message] of cases) refused('t.csv', text, model, message);
  });
});

describe('an NDJSON file', () => {
  test('has bodies of /predict, or their features, and blank lines', () => {
    const text = '{"features":[1,2,3,4]}\n\n[5,6,7,8]\r\n{"a":1,"b":2,"c":3,"d":4}\n{"x":[1,2,3,4]}';
    assert.deepEqual(values('t.ndjson', text, NAMED), [[[1, 2, 3, 4]], [[5, 6, 7, 8]], [[1, 2, 3, 4]], [[1, 2, 3, 4]]]);
    assert.deepEqual(
      read('t.jsonl', text, NAMED).map(({ place }) => place),
      [1, 3, 4, 5].map((line) => `${folder}/t.jsonl:${line}`),
    );
  });

  test('keeps an input whose name is features', () => {
    const model = form(x([-1, 1], 'float32', 'features'), x([-1, 1], 'float32', 'y'));
    assert.deepEqual(values('t.ndjson', '{"features":1,"y":2}', model), [[[1], [2]]]);
    assert.deepEqual(values('t.ndjson', '{"features":[1,2]}', form(x([-1, 2], 'float32', 'features'))), [[[1, 2]]]);
  });

  test('with a fault is refused with the line, and the column or the element', () => {
    refused('t.ndjson', '[1,2,3,4]\n[1,2 3]\n', NAMED, "t.ndjson:2:6: expected ',' or ']', got '3'");
    refused('t.ndjson', '[1,2,3,4\n', NAMED, "t.ndjson:1:9: expected ',' or ']', got the end of the line");
    refused('t.ndjson', '\n[1,2,"c",4]', NAMED, 't.ndjson:2: features[2]: expected a number (float32), got "c"');
    refused('t.ndjson', '{"a":1}', NAMED, 't.ndjson:1: features.b: this feature is missing');
    refused('t.ndjson', ' \n', NAMED, 't.ndjson: it has no rows');
  });
});

describe('a JSON file', () => {
  test('has the rows of golden.json, or the example of model.json', () => {
    const golden = '{"rows":[{"features":[1,2,3,4],"outputs":{"y":1}},{"features":[5,6,7,8],"outputs":{"y":1}}]}';
    assert.deepEqual(values('g.json', golden, NAMED), [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]);
    assert.deepEqual(values('m.json', '{"name":"m","example":{"features":[1,2,3,4]}}', NAMED), [[[1, 2, 3, 4]]]);
  });

  test('with a fault is refused in the words of the server', () => {
    refused('g.json', '{"rows":[]}', NAMED, 'g.json: rows: Too small: expected array to have >=1 items');
    refused(
      'g.json',
      '{"rows":[{"features":[1,2],"outputs":{}}]}',
      NAMED,
      'g.json: rows[0]: features: expected 4 values, got 2',
    );
    refused('m.json', '{}', NAMED, 'm.json: expected "rows", as in golden.json, or "example", as in model.json');
    assert.throws(() => read('m.json', '{"rows"', NAMED), /m\.json is not JSON: /);
  });
});

test('a file of another kind is refused with the kinds that are read, and a missing one with the error of the system', () => {
  refused(
    't.parquet',
    'PAR1',
    NAMED,
    't.parquet: expected a file of samples, .csv, .tsv, .ndjson, .jsonl, or .json (golden.json, or model.json with an example)',
  );
  assert.throws(() => [...readSamples(join(folder, 'nowhere.csv'), NAMED)], { code: 'ENOENT' });
});
