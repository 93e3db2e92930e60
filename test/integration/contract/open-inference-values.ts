import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Json } from '../../helpers/calls.ts';
import { type HostKind, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { infer, inferBody, type Sent, sendInfer, texts } from '../../helpers/open-inference.ts';
import { everyDtype, INPUTS } from './every-dtype.ts';
import { assertRefused } from './open-inference.ts';

const NAMES: Record<string, string> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};

/** Each datatype's values as JSON, which come out as they went in, and the same as binary data. */
const ROUND_TRIPS: [input: string, json: string, bytes: Uint8Array][] = [
  ['bool', '[true,false]', Uint8Array.of(1, 0)],
  ['uint8', '[0,255]', Uint8Array.of(0, 255)],
  ['uint16', '[1,65535]', bytesOf(Uint16Array.of(1, 65_535))],
  ['uint32', '[1,4294967295]', bytesOf(Uint32Array.of(1, 4_294_967_295))],
  ['uint64', '[9007199254740993,18446744073709551615]', bytesOf(BigUint64Array.of(9007199254740993n, 2n ** 64n - 1n))],
  ['int8', '[-128,127]', bytesOf(Int8Array.of(-128, 127))],
  ['int16', '[-32768,32767]', bytesOf(Int16Array.of(-32_768, 32_767))],
  ['int32', '[-2147483648,2147483647]', bytesOf(Int32Array.of(-(2 ** 31), 2 ** 31 - 1))],
  ['int64', '[9007199254740993,-9007199254740993]', bytesOf(BigInt64Array.of(9007199254740993n, -9007199254740993n))],
  ['float16', '[1024,-0.5]', bytesOf(new Uint16Array(Float16Array.of(1024, -0.5).buffer))],
  ['float16', '["NaN","-Infinity"]', bytesOf(Uint16Array.of(0x7e00, 0xfc00))],
  ['float32', '[0.1,3.4028235e+38]', bytesOf(Float32Array.of(0.1, 3.4028235e38))],
  ['float32', '["NaN","Infinity"]', bytesOf(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY))],
  ['float64', '[0.1,-5e-324]', bytesOf(Float64Array.of(0.1, -5e-324))],
  ['string', '["blåbær 😀 \\"\\\\\\n",""]', texts('blåbær 😀 "\\\n', '')],
];

/** What a datatype cannot hold. */
const REFUSED: [input: string, json: string, error: RegExp][] = [
  ['int64', '[1.5,0]', /data\[0\]: expected an integer/],
  ['uint8', '[0,256]', /data\[1\]: expected an integer from 0 to 255.*got 256/],
  ['uint8', '[-1,0]', /data\[0\]: expected an integer from 0 to 255.*got -1/],
  ['bool', '[2,false]', /data\[0\]: expected true or false.*got 2/],
  ['int32', '[null,0]', /data\[0\]: expected an integer.*got null/],
  ['float32', '["x",0]', /data\[0\]: expected a number.*got "x"/],
  ['float16', '[0,70000]', /data\[1\]: expected a number within ±65504/],
  ['string', '[1,""]', /data\[0\]: expected a string, got 1/],
];

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

const MODEL = 'every-dtype';

/** All inputs of the model: those given, zeros for the others. */
function allInputs(given: Readonly<Record<string, Partial<Sent>>>): Sent[] {
  return Object.entries(INPUTS).map(([name, { dtype, shape, zeros }]) => ({
    name,
    datatype: NAMES[dtype]!,
    shape: shape.map((dim) => (typeof dim === 'number' ? dim : 1)),
    ...(given[name]?.bytes === undefined && { data: `[${zeros}]` }),
    ...given[name],
  }));
}

const outputOf = (json: Json, input: string): Json => json.outputs.find(({ name }: Json) => name === `out_${input}`);

/** Every datatype, as JSON and binary both ways, on a model that gives back what it gets. */
export function openInferenceValues(kind: HostKind): void {
  describe('values of the Open Inference Protocol', { concurrency: 1 }, () => {
    const host = useHost(kind, () => ({
      MODEL_URI: modelFolder(MODEL, everyDtype()),
      INFERENCE_PROCESSES: '1',
      MAX_BODY_BYTES: '2000000',
    }));

    for (const [input, json, bytes] of ROUND_TRIPS) {
      test(`${NAMES[input]} ${json} comes out as it went in, as JSON and binary in all four ways`, async () => {
        for (const given of [{ data: json }, { bytes }]) {
          for (const binary of [false, true]) {
            const outputs = [{ name: `out_${input}`, parameters: { binary_data: binary } }];
            const answer = await infer(host(), MODEL, allInputs({ [input]: given }), { outputs });
            assert.equal(answer.status, 200, answer.text);
            const { shape, datatype, data, parameters } = answer.json.outputs[0];
            assert.deepEqual([shape, datatype], [[1, 2], NAMES[input]]);
            if (binary) {
              assert.deepEqual(answer.bytes.get(`out_${input}`), Buffer.from(bytes));
              assert.deepEqual([data, parameters], [undefined, { binary_data_size: bytes.length }]);
            } else {
              assert.ok(answer.text.includes(`"data":${json}}`), answer.text);
              assert.equal(answer.headers.get('content-type'), 'application/json');
            }
          }
        }
      });
    }

    for (const [input, json, error] of REFUSED) {
      test(`${NAMES[input]} ${json} is refused`, async () => {
        const answer = await infer(host(), MODEL, allInputs({ [input]: { data: json } }));
        assertRefused(answer, 400, 'INVALID_INPUT', new RegExp(`^input ${input}: inputs\\[\\d+\\]\\.${error.source}`));
      });
    }

    test('every output fills its shape, is of the datatype that metadata says, and of the model that was asked', async () => {
      const metadata = (await (await fetch(`${host().url}/v2/models/${MODEL}`)).json()) as Json;
      const { json } = await infer(host(), MODEL, allInputs({ free: { shape: [1, 3, 2], data: '[1,2,3,4,5,6]' } }));
      assert.equal(json.model_name, MODEL);
      assert.deepEqual(
        json.outputs.map(({ name, datatype }: Json) => [name, datatype]),
        metadata.outputs.map(({ name, datatype }: Json) => [name, datatype]),
      );
      for (const { shape, data } of json.outputs)
        assert.equal(
          shape.reduce((product: number, dim: number) => product * dim, 1),
          data.length,
        );
      assert.deepEqual(outputOf(json, 'free').shape, [1, 3, 2]);
      for (const { datatype, shape } of [...metadata.inputs, ...metadata.outputs]) {
        assert.ok(Object.values(NAMES).includes(datatype));
        assert.ok(shape.every((dim: number) => Number.isInteger(dim) && dim >= -1));
      }
    });

    test('binary_data of an output overrides binary_data_output, and lengths are exact', async () => {
      const outputs = [
        { name: 'out_int8' },
        { name: 'out_bool', parameters: { binary_data: false } },
        { name: 'out_string' },
      ];
      const inputs = allInputs({ int8: { bytes: Uint8Array.of(5, 251) }, string: { data: '["a","bc"]' } });
      const answer = await infer(host(), MODEL, inputs, { outputs, parameters: { binary_data_output: true } });
      assert.equal(answer.headers.get('content-type'), 'application/octet-stream');
      const length = Buffer.byteLength(answer.text);
      assert.equal(answer.headers.get('inference-header-content-length'), String(length));
      assert.equal(answer.headers.get('content-length'), String(length + 2 + 11));
      assert.deepEqual(
        [...answer.bytes],
        [
          ['out_int8', Buffer.of(5, 251)],
          ['out_string', texts('a', 'bc')],
        ],
      );
      assert.deepEqual(outputOf(answer.json, 'bool').data, [false, false]);
    });

    test('binary data that does not fit is refused with what was expected', async () => {
      const bytes = Buffer.alloc(8);
      const cases: [given: Partial<Sent>, error: RegExp][] = [
        [{ bytes, shape: [1, 3] }, /shape: expected \[-1,2\]/],
        [{ bytes: Buffer.alloc(7) }, /binary_data_size: expected 8 bytes for FP32 \[1,2\], got 7/],
        [{ bytes, size: 4 }, /binary_data_size: expected 8 bytes for FP32 \[1,2\], got 4/],
        [{ bytes, size: 9 }, /binary_data_size: it says 9 bytes, and 8 are left/],
        [{ bytes, size: 2 ** 40 }, /binary_data_size: it says 1099511627776 bytes/],
        [{ bytes, size: -1 }, /binary_data_size: expected a number of bytes, got -1/],
        [{ bytes, size: '"8"' }, /binary_data_size: expected a number of bytes, got "8"/],
        [{ bytes, data: '[1,2]' }, /it has both/],
      ];
      for (const [given, error] of cases) {
        const answer = await infer(host(), MODEL, allInputs({ float32: given }));
        assertRefused(answer, 400, 'INVALID_INPUT', error);
        assert.match(answer.json.error, /^input float32: inputs\[\d+\]/);
      }
      const { text, blobs } = inferBody(allInputs({ float32: { bytes } }));
      const more = Buffer.concat([Buffer.from(text), ...blobs, Buffer.alloc(3)]);
      const headers = { 'content-type': 'application/octet-stream' };
      const length = String(Buffer.byteLength(text));
      assertRefused(
        await sendInfer(host(), MODEL, more, { ...headers, 'inference-header-content-length': length }),
        400,
        'INVALID_INPUT',
        /11 bytes follow the JSON text, and the inputs' binary_data_size sum up to 8/,
      );
      for (const bad of ['-1', '1.5', 'x', String(more.length + 1), '1e3']) {
        const answer = await sendInfer(host(), MODEL, more, { ...headers, 'inference-header-content-length': bad });
        assertRefused(
          answer,
          400,
          'INVALID_INPUT',
          /^Inference-Header-Content-Length: expected an integer from 0 to \d+/,
        );
      }
      assertRefused(await sendInfer(host(), MODEL, more, headers), 400, 'INVALID_INPUT', /not valid JSON/);
    });

    test('texts and booleans in binary data are looked at', async () => {
      const cases: [input: string, bytes: Uint8Array, error: RegExp][] = [
        ['bool', Uint8Array.of(1, 2), /expected a byte of 0 or 1 for each BOOL, got 2 at byte 1/],
        ['string', texts('a'), /expected 2 texts with their lengths, got 5 bytes/],
        ['string', texts('abcd'), /the data ends before the length of text 1 of 2/],
        ['string', Buffer.concat([texts('a'), Buffer.of(9, 0, 0, 0)]), /the data ends within text 1 of 2/],
        ['string', Buffer.concat([texts('a', 'b'), Buffer.of(0)]), /1 bytes are left behind 2 texts/],
        ['string', Buffer.concat([texts('a'), Buffer.of(1, 0, 0, 0, 0xff)]), /text 1 is not UTF-8/],
      ];
      for (const [input, bytes, error] of cases) {
        assertRefused(await infer(host(), MODEL, allInputs({ [input]: { bytes } })), 400, 'INVALID_INPUT', error);
      }
    });

    test('a large request goes through the reading thread, as JSON and with texts in binary data, right and wrong', async () => {
      const rows = 40_000;
      const values = Array.from({ length: rows * 2 }, (_, i) => i / 8);
      const shape = [1, rows, 2];
      const outputs = [{ name: 'out_free' }];
      const flat = JSON.stringify(values);
      const good = await infer(host(), MODEL, allInputs({ free: { shape, data: flat } }), { outputs });
      assert.equal(good.status, 200, good.text.slice(0, 300));
      assert.ok(good.text.includes(`"data":${flat}}`));
      const bad = await infer(host(), MODEL, allInputs({ free: { shape, data: flat.replace('[0,', '[true,') } }));
      assertRefused(bad, 400, 'INVALID_INPUT', /^input free: inputs\[\d+\]\.data\[0\]: expected a number/);
      const long = 'å'.repeat(150_000);
      const both = { string: { bytes: texts(long, 'b') }, free: { shape, bytes: bytesOf(Float32Array.from(values)) } };
      const answer = await infer(host(), MODEL, allInputs(both), { parameters: { binary_data_output: true } });
      assert.equal(answer.status, 200, answer.text.slice(0, 300));
      assert.deepEqual(answer.bytes.get('out_string'), texts(long, 'b'));
      assert.deepEqual(answer.bytes.get('out_free'), Buffer.from(both.free.bytes));
    });

    test('a gzipped request is inflated, and a bomb is refused', async () => {
      const { text } = inferBody(allInputs({ int8: { data: '[1,2]' } }));
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      const good = await sendInfer(host(), MODEL, gzipSync(text), headers);
      assert.deepEqual(outputOf(good.json, 'int8').data, [1, 2]);
      // On the functions host the framework inflates all of it before the handler can refuse it.
      const bomb = await sendInfer(host(), MODEL, gzipSync(Buffer.alloc(10_000_000, ' ')), {
        ...headers,
        'content-type': 'application/octet-stream',
      });
      const error = kind === 'functions' ? /larger than 2000000 bytes/ : /inflates to more than 2000000 bytes/;
      assertRefused(bomb, 413, 'TOO_LARGE', error);
      const binary = inferBody(allInputs({ int8: { bytes: Uint8Array.of(3, 4) } }));
      const body = gzipSync(Buffer.concat([Buffer.from(binary.text), ...binary.blobs]));
      const mixed = await sendInfer(host(), MODEL, body, {
        'content-type': 'application/octet-stream',
        'content-encoding': 'gzip',
        'inference-header-content-length': String(Buffer.byteLength(binary.text)),
      });
      assert.deepEqual(outputOf(mixed.json, 'int8').data, [3, 4]);
    });
  });
}
