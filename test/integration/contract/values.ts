import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { linesOf, post } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';
import { bodyWith } from './every-dtype.ts';

/** JSON that must come out as it went in, digit by digit. */
const ROUND_TRIPS: [input: string, json: string][] = [
  ['float16', '[1024,-0.5]'],
  ['float16', '["NaN","-Infinity"]'],
  ['float32', '[0.1,3.4028235e+38]'],
  ['float32', '[1e-45,16777216]'],
  ['float32', '["NaN","Infinity"]'],
  ['float64', '[0.1,1.7976931348623157e+308]'],
  ['float64', '[5e-324,9007199254740991]'],
  ['float64', '["-Infinity","NaN"]'],
  ['int8', '[-128,127]'],
  ['int16', '[-32768,32767]'],
  ['int32', '[-2147483648,2147483647]'],
  ['int64', '[9007199254740993,-9007199254740993]'],
  ['int64', '[-9223372036854775808,9223372036854775807]'],
  ['uint8', '[0,255]'],
  ['uint16', '[0,65535]'],
  ['uint32', '[0,4294967295]'],
  ['uint64', '[9007199254740993,18446744073709551615]'],
  ['bool', '[true,false]'],
  ['string', '["blåbær 😀 \\"\\\\\\n",""]'],
  ['grid', '[[1,2,3],[4,5,6.5]]'],
  ['free', '[[1,2],[3,4],[5,6]]'],
];

/** `null` for a path: any that begins with the input's. */
const REFUSED: [what: string, input: string, json: string | undefined, path: string | null, text: RegExp][] = [
  ['a ragged array', 'free', '[[1,2],[3]]', 'features.free[1]', /expected 2 values.*got 1/],
  ['a ragged array', 'grid', '[[1,2,3],[4,5]]', 'features.grid[1]', /expected 3 values.*got 2/],
  ['a rank too low', 'grid', '[1,2]', 'features.grid[0]', /expected an array of 3 values, got the value 1/],
  ['a scalar for a row', 'float32', '5', 'features.float32', /expected an array of 2 values, got the value 5/],
  ['a rank too high', 'float32', '[[1],[2]]', 'features.float32[0]', /expected a number .*got an array of 1 value/],
  ['a batch dimension', 'float32', '[[1,2]]', null, /expected 2 values.*got 1|got an array of 2 values/],
  ['a wrong dimension', 'grid', '[[1,2,3]]', 'features.grid', /expected 2 arrays, got 1/],
  ['a wrong dimension', 'int64', '[1,2,3]', 'features.int64', /expected 2 values, got 3/],
  ['an empty row', 'uint8', '[]', 'features.uint8', /expected 2 values, got 0/],
  ['-129', 'int8', '[0,-129]', 'features.int8[1]', /expected an integer from -128 to 127.*got -129/],
  ['32768', 'int16', '[32768,0]', 'features.int16[0]', /-32768 to 32767.*got 32768/],
  ['1e10', 'int32', '[0,1e10]', 'features.int32[1]', /-2147483648 to 2147483647.*got 10000000000/],
  ['2^63', 'int64', '[9223372036854775808,0]', 'features.int64[0]', /to 9223372036854775807.*got 9223372036854775808/],
  ['256', 'uint8', '[256,0]', 'features.uint8[0]', /0 to 255.*got 256/],
  ['65536', 'uint16', '[65536,0]', 'features.uint16[0]', /0 to 65535.*got 65536/],
  ['2^32', 'uint32', '[4294967296,0]', 'features.uint32[0]', /0 to 4294967295.*got 4294967296/],
  ['-1', 'uint64', '[-1,0]', 'features.uint64[0]', /0 to 18446744073709551615.*got -1/],
  ['70000', 'float16', '[0,70000]', 'features.float16[1]', /65504.*got 70000/],
  ['1e39', 'float32', '[0,1e39]', 'features.float32[1]', /3\.4028235e38.*got 1e\+39/],
  ['1e999', 'float64', '[0,1e999]', 'features.float64[1]', /expected a number.*got/],
  ['1.5', 'int32', '[1.5,0]', 'features.int32[0]', /expected an integer.*got 1\.5/],
  ['1.5', 'int64', '[0,1.5]', 'features.int64[1]', /expected an integer.*got 1\.5/],
  ['a string', 'float32', '["1",0]', 'features.float32[0]', /expected a number.*got "1"/],
  ['a string', 'int64', '["1",0]', 'features.int64[0]', /expected an integer.*got "1"/],
  ['"NaN"', 'int32', '["NaN",0]', 'features.int32[0]', /expected an integer.*got "NaN"/],
  ['a boolean', 'float32', '[0,true]', 'features.float32[1]', /expected a number.*got true/],
  ['a boolean', 'uint8', '[true,0]', 'features.uint8[0]', /expected an integer.*got true/],
  ['a number', 'bool', '[1,false]', 'features.bool[0]', /expected true or false.*got 1/],
  ['a number', 'string', '["",7]', 'features.string[1]', /expected a string, got 7/],
  ['null', 'float64', '[null,0]', 'features.float64[0]', /expected a number.*got null/],
  ['null', 'string', '[null,""]', 'features.string[0]', /expected a string, got null/],
  ['null for a row', 'int8', 'null', 'features.int8', /expected an array of 2 values.*null/],
  ['an object for a row', 'int8', '{"0":1}', 'features.int8', /expected an array of 2 values.*got.* object/],
  ['nothing', 'int16', undefined, 'features.int16', /missing/],
];

/** Every dtype and every way of getting one wrong, on a model that gives back what it gets. */
export function values(host: () => Host): void {
  describe('values', { concurrency: 1 }, () => {
    for (const [input, json] of ROUND_TRIPS) {
      test(`${input} ${json} comes out as it went in`, async () => {
        const answer = await post(host(), '/predict', bodyWith({ [input]: json }));
        assert.equal(answer.status, 200, answer.text);
        const [, found] = new RegExp(`"out_${input}":(.*?)(?:,"out_|},"model")`).exec(answer.text) ?? [];
        assert.equal(found, json);
        assert.ok(answer.json().outputs);
      });
    }

    for (const [what, input, json, path, text] of REFUSED) {
      test(`${what} for ${input} is refused with its path, the expected and the given`, async () => {
        const { status, json: read } = await post(host(), '/predict', bodyWith({ [input]: json }));
        const { error, code, path: named, request_id } = read();
        assert.deepEqual([status, code], [400, 'INVALID_INPUT'], error);
        if (path === null) assert.match(named, new RegExp(`^features\\.${input}\\b`));
        else assert.equal(named, path);
        assert.match(error, text);
        assert.ok(error.startsWith(named), error);
        assert.equal(typeof request_id, 'string');
      });
    }

    test('an input that the model does not have is refused, with the names of those it has', async () => {
      const { status, json } = await post(host(), '/predict', bodyWith({ grind: '[1,2]' }));
      assert.deepEqual([status, json().path], [400, 'features.grind']);
      assert.match(json().error, /no such input.*\bgrid\b/);
    });

    test('features that are no object are refused where a model has several inputs', async () => {
      for (const features of ['[1,2]', '5', 'null', '"x"']) {
        const { status, json } = await post(host(), '/predict', `{"features":${features}}`);
        assert.deepEqual([status, json().code, json().path], [400, 'INVALID_INPUT', 'features']);
        assert.match(json().error, /expected an object with the inputs float16, .*got /);
      }
    });

    test('a row of 100 000 values of a free dimension goes in and out through the thread for large bodies', async () => {
      const free = JSON.stringify(Array.from({ length: 50_000 }, (_, i) => [i, -i - 0.5]));
      const answer = await post(host(), '/predict', bodyWith({ free }));
      assert.equal(answer.status, 200, answer.text.slice(0, 300));
      assert.ok(answer.text.includes(`"out_free":${free}`));
      const wrong = await post(host(), '/predict', bodyWith({ free: free.replace('[49999,', '[true,') }));
      assert.deepEqual([wrong.status, wrong.json().path], [400, 'features.free[49999][0]']);
    });

    test('rows of different shapes, sent at once, are not mixed', async () => {
      const lengths = Array.from({ length: 40 }, (_, i) => 1 + (i % 5));
      const rows = lengths.map((length, i) => JSON.stringify(Array.from({ length }, (_, j) => [i, j])));
      const answers = await Promise.all(rows.map((free) => post(host(), '/predict', bodyWith({ free }))));
      for (const [i, { text }] of answers.entries()) assert.ok(text.includes(`"out_free":${rows[i]}`), text);
    });

    test('a row of a batch that is wrong fails alone, with its own path', async () => {
      const body = [bodyWith({}), bodyWith({ int64: '[1,1.5]' }), bodyWith({ int64: '[9007199254740993,0]' })].join(
        '\n',
      );
      const answer = await post(host(), '/batch_predict', body, { 'content-type': 'application/x-ndjson' });
      const [first, second, third, last] = linesOf(answer);
      assert.deepEqual([first.index, second.index, third.index], [0, 1, 2]);
      assert.deepEqual([second.error.code, second.error.path], ['INVALID_INPUT', 'features.int64[1]']);
      assert.match(answer.text, /"out_int64":\[9007199254740993,0\]/);
      assert.deepEqual(last, { done: true, ok: 2, failed: 1 });
    });
  });
}
