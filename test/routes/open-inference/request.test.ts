import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ServingError } from '../../../functions/errors.ts';
import { type InferRequest, readInfer } from '../../../functions/routes/open-inference/request.ts';
import type { Signature, Tensor } from '../../../functions/tensor/tensor.ts';
import { countedArray } from '../../helpers/counted-array.ts';
import { inferBody, type Sent } from '../../helpers/open-inference.ts';

const SIGNATURE: Signature = {
  inputs: [
    { name: 'x', dtype: 'float32', shape: [-1, 2] },
    { name: 'k', dtype: 'int64', shape: [-1] },
  ],
  outputs: [
    { name: 'y', dtype: 'float32', shape: [-1, 2] },
    { name: 'z', dtype: 'int64', shape: [-1] },
  ],
};
const only = (dtype: Tensor['dtype'], shape: number[]): Signature => ({
  inputs: [{ name: 'x', dtype, shape }],
  outputs: SIGNATURE.outputs,
});

/** The whole body in one piece of memory, `lead` bytes from its start. */
function wholeBody(inputs: readonly Sent[], lead = 0): { body: Buffer; textBytes: number } {
  const { text, blobs } = inferBody(inputs);
  const parts = Buffer.concat([Buffer.from(text), ...blobs]);
  const body = Buffer.allocUnsafeSlow(lead + parts.length).subarray(lead);
  parts.copy(body);
  return { body, textBytes: Buffer.byteLength(text) };
}

function read(inputs: readonly Sent[], signature = SIGNATURE, lead = 0): InferRequest {
  const { body, textBytes } = wholeBody(inputs, lead);
  return readInfer(body, { signature, joinsRows: true }, textBytes);
}

test('a flat, a nested and a binary tensor of the same values are the same', () => {
  const rows = fc.array(
    fc.tuple(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.float({ noNaN: true, noDefaultInfinity: true })),
    {
      maxLength: 50,
    },
  );
  fc.assert(
    fc.property(rows, fc.nat(7), (pairs, lead) => {
      const k: Sent = { name: 'k', datatype: 'INT64', shape: [1], data: '[7]' };
      const x = { name: 'x', datatype: 'FP32', shape: [pairs.length, 2] };
      const flat = Float32Array.from(pairs.flat());
      const text = (values: readonly unknown[]): string =>
        JSON.stringify(values, (_, value) => (Object.is(value, -0) ? 0 : value));
      const positive = Float32Array.from(flat, (value) => (value === 0 ? 0 : value));
      const all = [
        read([k, { ...x, data: text([...flat]) }]),
        read([{ ...x, data: text(pairs) }, k]),
        read([{ ...x, bytes: new Uint8Array(positive.buffer) }, k], SIGNATURE, lead),
      ];
      for (const { tensors } of all) {
        assert.deepEqual(tensors[0], { dtype: 'float32', dims: [pairs.length, 2], data: positive });
        assert.deepEqual(tensors[1]!.data, BigInt64Array.of(7n));
      }
    }),
  );
});

test('binary data that is aligned is not copied, and what is not is', () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2).buffer);
  const input: Sent = { name: 'x', datatype: 'FP32', shape: [1, 2], bytes };
  const { textBytes } = wholeBody([input]);
  for (let lead = 0; lead < 8; lead++) {
    const { body } = wholeBody([input], lead);
    const { tensors } = readInfer(body, { signature: only('float32', [-1, 2]), joinsRows: true }, textBytes);
    const data = tensors[0]!.data as Float32Array;
    assert.deepEqual([...data], [1, 2]);
    assert.equal(data.buffer === body.buffer, (lead + textBytes) % 4 === 0);
  }
});

test('what was asked for comes with it', () => {
  const inputs: Sent[] = [
    { name: 'x', datatype: 'FP32', shape: [1, 2], data: '[1,2]' },
    { name: 'k', datatype: 'INT64', shape: [1], data: '[1]' },
  ];
  const ask = (more: object): InferRequest =>
    readInfer(Buffer.from(inferBody(inputs, more).text), { signature: SIGNATURE, joinsRows: true }, undefined);
  const plain = ask({});
  assert.deepEqual([plain.id, plain.timeout], [undefined, undefined]);
  assert.deepEqual(plain.outputs, [
    { slot: 0, binary: false },
    { slot: 1, binary: false },
  ]);
  const full = ask({
    id: 'i',
    parameters: { timeout: 5, binary_data_output: true },
    outputs: [{ name: 'z', parameters: { binary_data: false } }, { name: 'y' }],
  });
  assert.deepEqual([full.id, full.timeout], ['i', 5]);
  assert.deepEqual(full.outputs, [
    { slot: 1, binary: false },
    { slot: 0, binary: true },
  ]);
  assert.equal(ask({ id: 'i'.repeat(4096) }).id!.length, 4096);
  assert.throws(() => ask({ id: 'i'.repeat(4097) }), {
    message: /^id: expected a string of at most 4096 characters, got one of 4097/,
  });
  assert.equal(ask({ parameters: { timeout: 0 } }).timeout, undefined, '0 is none');
});

test('a raw body is the one input, whose shape follows from the length', () => {
  const raw = (signature: Signature, body: Uint8Array, joinsRows = true): Tensor =>
    readInfer(body, { signature, joinsRows }, 0).tensors[0]!;
  const eight = new Uint8Array(8);
  assert.deepEqual(raw(only('float32', [-1, 2]), eight).dims, [1, 2]);
  assert.deepEqual(raw(only('float32', [-1, 2]), eight, false).dims, [1, 2]);
  assert.deepEqual(raw(only('uint8', [-1, 2]), eight, false).dims, [4, 2]);
  assert.deepEqual(raw(only('int16', [-1, -1, 2]), eight).dims, [1, 2, 2]);
  assert.deepEqual(raw(only('int16', [-1, 0, 2]), new Uint8Array(0)).dims, [1, 0, 2]);
  assert.deepEqual(raw(only('string', [-1]), Buffer.from('ø')), { dtype: 'string', dims: [1], data: ['ø'] });
  const refused: [Signature, Uint8Array, boolean, RegExp][] = [
    [only('float32', [-1, 2]), new Uint8Array(16), true, /expected 8 bytes for FP32 \[1,2\], got 16/],
    [only('float32', [-1, -1]), eight, false, /more than one dimension of any length, \[-1,-1\]/],
    [only('float32', [-1, 0, 2]), eight, false, /expected a multiple of 0 bytes/],
    [only('bool', [-1, 8]), Uint8Array.of(0, 1, 2, 0, 0, 0, 0, 0), true, /a byte of 0 or 1 for each BOOL, got 2/],
    [only('string', [-1, 2]), eight, true, /takes 2 texts/],
    [only('string', [-1]), Uint8Array.of(0xff), true, /expected UTF-8/],
    [SIGNATURE, eight, true, /for a model of one input, and this one has 2/],
  ];
  for (const [signature, body, joinsRows, message] of refused) {
    assert.throws(() => raw(signature, body, joinsRows), { code: 'INVALID_INPUT', message });
  }
});

test('a scalar may have the shape [1]; where the rank is open, any shape is taken', () => {
  const four = Float32Array.of(1, 2, 3, 4);
  const sent = (shape: number[]): Sent => ({
    name: 'x',
    datatype: 'FP32',
    shape,
    bytes: new Uint8Array(four.buffer, 0, 4 * shape.reduce((count, dim) => count * dim, 1)),
  });
  const scalar = only('float32', []);
  for (const shape of [[], [1]]) {
    assert.deepEqual(read([sent(shape)], scalar).tensors, [{ dtype: 'float32', dims: [], data: Float32Array.of(1) }]);
    const text: Sent = { name: 'x', datatype: 'FP32', shape, data: '[1]' };
    assert.deepEqual(read([text], scalar).tensors[0]!.dims, []);
  }
  for (const shape of [[2], [1, 1]]) {
    assert.throws(() => read([sent(shape)], scalar), { path: 'inputs[0].shape', message: /expected \[\]/ });
  }
  const open: Signature = { ...scalar, inputs: [{ ...scalar.inputs[0]!, anyRank: true }] };
  for (const shape of [[], [1], [4], [2, 1, 2]]) assert.deepEqual(read([sent(shape)], open).tensors[0]!.dims, shape);
  const deep = new Array<number>(65).fill(1);
  assert.throws(() => read([sent(deep)], open), { path: 'inputs[0].shape', message: /at most 64 dimensions, got 65/ });
  const raw = () => readInfer(Buffer.from(four.buffer), { signature: open, joinsRows: false }, 0);
  assert.throws(raw, { code: 'INVALID_INPUT', message: /input x takes tensors of any rank: send a JSON text/ });
});

test('texts in one request are bounded, whatever the shape says', () => {
  const signature = only('string', [-1]);
  const input = (shape: number): Sent[] => [{ name: 'x', datatype: 'BYTES', shape: [shape], data: '[]' }];
  assert.throws(() => read(input(100_001), signature), { message: /at most 100000 texts in one request, got 100001/ });
  const bytes: Sent = { name: 'x', datatype: 'BYTES', shape: [100_000], bytes: new Uint8Array(8) };
  assert.throws(() => read([bytes], signature), { message: /expected 100000 texts with their lengths, got 8 bytes/ });
});

test('whatever comes is read or refused with INVALID_INPUT or UNSUPPORTED, in a short text', () => {
  const key = fc.constantFrom(
    'inputs',
    'outputs',
    'parameters',
    'id',
    'name',
    'shape',
    'datatype',
    'data',
    'timeout',
    '__proto__',
    'binary_data_size',
    'classification',
  );
  const leaf = fc.oneof(
    fc.constantFrom('x', 'k', 'y', 'FP32', 'INT64', 8, 4, -1, 2 ** 53),
    fc.jsonValue({ maxDepth: 1 }),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(
      value,
      fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      fc.uint8Array({ maxLength: 40 }),
      (json, cut, blob) => {
        const text = Buffer.from(JSON.stringify(json) ?? 'null');
        const body = Buffer.concat([text, blob]);
        const textBytes = cut === undefined ? undefined : cut < 0.7 ? text.length : Math.floor(cut * body.length);
        try {
          readInfer(body, { signature: SIGNATURE, joinsRows: true }, textBytes);
        } catch (error) {
          assert.ok(error instanceof ServingError, String(error));
          assert.ok(['INVALID_INPUT', 'UNSUPPORTED'].includes(error.code) && error.message.length < 600, error.message);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('an empty tensor of more rows than any body bounds is refused before they are counted out', () => {
  const empty = (rows: number): Sent => ({ name: 'x', datatype: 'FP32', shape: [rows, 0], data: '[]' });
  assert.throws(() => read([empty(2 ** 31 - 1)], only('float32', [-1, -1])), {
    code: 'INVALID_INPUT',
    path: 'inputs[0].shape',
  });
  assert.deepEqual(read([empty(32_768)], only('float32', [-1, -1])).tensors[0]?.dims, [32_768, 0]);
});

test('a binary text with a NUL, at which the model would cut it, is refused', () => {
  const bytes = Buffer.from([3, 0, 0, 0, 0x61, 0, 0x62]);
  const sent: Sent = { name: 'x', datatype: 'BYTES', shape: [1], bytes };
  assert.throws(() => read([sent], only('string', [-1])), /U\+0000/);
});

test('to read a request looks at each input and output a few times, however many there are', () => {
  const COUNT = 500;
  const specs = (letter: string) =>
    countedArray(
      Array.from({ length: COUNT }, (_, i) => ({ name: `${letter}${i}`, dtype: 'float32' as const, shape: [-1] })),
    );
  const [inputs, outputs] = [specs('i'), specs('o')];
  const sent: Sent[] = Array.from({ length: COUNT }, (_, i) => ({
    name: `i${COUNT - 1 - i}`,
    datatype: 'FP32',
    shape: [1],
    data: '[1]',
  }));
  const { text } = inferBody(sent, {
    outputs: Array.from({ length: COUNT }, (_, i) => ({ name: `o${COUNT - 1 - i}` })),
  });
  const signature = { inputs: inputs.array, outputs: outputs.array };
  const request = readInfer(Buffer.from(text), { signature, joinsRows: true }, undefined);
  assert.deepEqual([request.tensors.length, request.outputs[0]], [COUNT, { slot: COUNT - 1, binary: false }]);
  for (const { looks } of [inputs, outputs]) assert.ok(looks() <= 4 * COUNT, `${looks()} looks`);
});

test('NaN, Infinity, -Infinity and null are values of a float tensor, and of no other', () => {
  const values = [Number.NaN, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const sent = (datatype: string, data: string): Sent[] => [{ name: 'x', datatype, shape: [2, 2], data }];
  for (const word of ['NaN', 'null']) {
    for (const data of [`[${word},1,Infinity,-Infinity]`, `[[${word},1],[Infinity,-Infinity]]`]) {
      assert.deepEqual(read(sent('FP32', data), only('float32', [-1, 2])).tensors[0]!.data, Float32Array.from(values));
      assert.deepEqual(read(sent('FP64', data), only('float64', [-1, 2])).tensors[0]!.data, Float64Array.from(values));
      assert.equal((read(sent('FP16', data), only('float16', [-1, 2])).tensors[0]!.data as Uint16Array)[2], 0x7c00);
    }
    for (const [datatype, dtype] of [
      ['INT64', 'int64'],
      ['BOOL', 'bool'],
      ['BYTES', 'string'],
    ] as const) {
      assert.throws(() => read(sent(datatype, `[${word},1,1,1]`), only(dtype, [-1, 2])), {
        code: 'INVALID_INPUT',
        path: 'inputs[0].data[0]',
        message: new RegExp(`got ${word}$`),
      });
    }
  }
});

test('a float tensor of many values may have NaN among them', () => {
  const COUNT = 300_000;
  const data = `[${Array.from({ length: COUNT }, (_, i) => (i % 1000 === 7 ? 'NaN' : i))}]`;
  const sent: Sent = { name: 'x', datatype: 'FP32', shape: [COUNT], data };
  const { data: read_ } = read([sent], only('float32', [-1])).tensors[0]!;
  assert.deepEqual(
    read_,
    Float32Array.from({ length: COUNT }, (_, i) => (i % 1000 === 7 ? Number.NaN : i)),
  );
});
