import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DATATYPES } from '../../../functions/routes/open-inference/datatype.ts';
import { readInputs } from '../../../functions/routes/open-inference/inputs.ts';
import { encodeFlat, encodeNested } from '../../../functions/tensor/encode.ts';
import { type JsonObject, readJson } from '../../../functions/tensor/json/reader.ts';
import type { Signature, Tensor, TensorSpec } from '../../../functions/tensor/tensor.ts';
import { anyTensor, comparable, wireBytes } from '../../helpers/any-tensor.ts';
import { tensorSpec } from '../../helpers/generation-stub.ts';
import { floats, inferBody, type Sent } from '../../helpers/open-inference.ts';

const TWO: Signature = { inputs: [tensorSpec('x', 'float32', -1, 2), tensorSpec('k', 'int64', -1)], outputs: [] };
const X: Sent = { name: 'x', datatype: 'FP32', shape: [1, 2], data: '[1,2]' };
const K: Sent = { name: 'k', datatype: 'INT64', shape: [1], data: '[7]' };

function read(inputs: readonly Sent[], signature = TWO, behind: Uint8Array = new Uint8Array()): Tensor[] {
  const { text, blobs } = inferBody(inputs);
  const bytes = Buffer.from(text);
  const request = readJson(bytes, 0, bytes.length, undefined, true) as JsonObject;
  return readInputs(request.inputs, signature, Buffer.concat([...blobs, behind]));
}

/** A signature of these tensors, `t0` and so on, and each as one form of input. */
const signatureOf = (tensors: readonly Tensor[]): Signature => ({
  inputs: tensors.map(({ dtype, dims }, i): TensorSpec => tensorSpec(`t${i}`, dtype, ...dims)),
  outputs: [],
});
function sentAs(form: string, tensor: Tensor, i: number): Sent {
  const head = { name: `t${i}`, datatype: DATATYPES[tensor.dtype], shape: tensor.dims };
  if (form === 'binary') return { ...head, bytes: wireBytes(tensor) };
  return { ...head, data: form === 'flat' ? encodeFlat(tensor) : encodeNested(tensor) };
}

test('each input gets its own values, flat, nested or binary, in whatever order they are sent', () => {
  const some = fc.array(fc.tuple(anyTensor(), fc.constantFrom('flat', 'nested', 'binary'), fc.nat()), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(some, (given) => {
      const tensors = given.map(([tensor]) => tensor);
      const sent = given
        .map(([tensor, form, order], i) => ({ order, input: sentAs(form, tensor, i) }))
        .sort((a, b) => a.order - b.order)
        .map(({ input }) => input);
      assert.deepEqual(read(sent, signatureOf(tensors)).map(comparable), tensors.map(comparable));
    }),
    { numRuns: 100 },
  );
});

test('JSON data of one element more or less than the shape has is refused, and the error names the input', () => {
  fc.assert(
    fc.property(anyTensor(), fc.boolean(), (tensor, more) => {
      const { dims, data } = tensor;
      fc.pre(dims.length > 0 && (more || data.length > 0));
      const values = JSON.parse(encodeFlat(tensor)) as unknown[];
      const changed = more ? [...values, values[0] ?? 0] : values.slice(1);
      const sent = { ...sentAs('flat', tensor, 0), data: JSON.stringify(changed) };
      assert.throws(() => read([sent], signatureOf([tensor])), {
        code: 'INVALID_INPUT',
        path: 'inputs[0].data',
        message: /^input t0: inputs\[0\]\.data: expected /,
      });
    }),
  );
});

const binary = (name: string, bytes: Uint8Array, size?: number | string): Sent => ({
  ...(name === 'x' ? { name, datatype: 'FP32', shape: [1, 2] } : { name, datatype: 'INT64', shape: [1] }),
  bytes,
  ...(size !== undefined && { size }),
});
const EIGHT = floats(1, 2);
const SIZE = 'parameters.binary_data_size';

const REFUSED: [title: string, inputs: readonly Sent[], path: string, message: RegExp, behind?: Uint8Array][] = [
  ['an input that is missing', [X], 'inputs', /^inputs: the input k is missing/],
  ['an input that is given twice', [X, K, X], 'inputs[2]', /^inputs\[2\]: the input "x" is given twice/],
  ['an unknown input', [X, { ...K, name: 'y' }], 'inputs[1].name', /expected one of the inputs x, k, got "y"/],
  ['a member of Object', [X, { ...K, name: 'toString' }], 'inputs[1].name', /got "toString"/],
  ['another datatype', [{ ...X, datatype: 'FP64' }, K], 'inputs[0].datatype', /expected FP32, got "FP64"/],
  ['a datatype in small letters', [{ ...X, datatype: 'fp32' }, K], 'inputs[0].datatype', /expected FP32, got "fp32"/],
  ['another rank', [{ ...X, shape: [2] }, K], 'inputs[0].shape', /expected \[-1,2\] .*, got \[2\]/],
  ['another fixed dimension', [{ ...X, shape: [1, 3] }, K], 'inputs[0].shape', /expected \[-1,2\] .*, got \[1,3\]/],
  ['a shape that is no array', [{ ...X, shape: '2' }, K], 'inputs[0].shape', /expected an array of integers, got 2/],
  ['data and binary data', [{ ...X, bytes: EIGHT }, K], 'inputs[0]', /it has both/],
  ['neither data nor binary data', [{ name: 'x', datatype: 'FP32', shape: [1, 2] }, K], 'inputs[0]', /it has neither/],
  ['a negative size', [binary('x', EIGHT, -8), K], `inputs[0].${SIZE}`, /expected a number of bytes, got -8/],
  ['a size that is no integer', [binary('x', EIGHT, 7.5), K], `inputs[0].${SIZE}`, /number of bytes, got 7\.5/],
  ['a size that is a text', [binary('x', EIGHT, '"8"'), K], `inputs[0].${SIZE}`, /number of bytes, got "8"/],
  ['a size of more than follows', [binary('x', EIGHT, 16), K], `inputs[0].${SIZE}`, /16 bytes, and 8 are left/],
  [
    'a size that leaves too little for the next input',
    [binary('x', EIGHT), binary('k', Buffer.alloc(4), 8)],
    `inputs[1].${SIZE}`,
    /^input k: .*8 bytes, and 4 are left/,
  ],
  ['a size that the shape does not have', [K, binary('x', EIGHT.subarray(4))], `inputs[1].${SIZE}`, /expected 8 bytes/],
  [
    'bytes that belong to no input',
    [binary('x', EIGHT), K],
    'inputs',
    /^inputs: 11 bytes follow .* sum up to 8/,
    Buffer.alloc(3),
  ],
  ['bytes behind inputs of JSON alone', [X, K], 'inputs', /^inputs: 1 bytes follow .* sum up to 0/, Buffer.alloc(1)],
];
for (const [title, inputs, path, message, behind] of REFUSED) {
  test(`refused: ${title}`, () => {
    assert.throws(() => read(inputs, TWO, behind), { code: 'INVALID_INPUT', path, message });
  });
}

test('a dimension that is no length is refused at its place', () => {
  for (const [dim, given] of [
    ['-1', '-1'],
    ['1.5', '1\\.5'],
    ['2147483648', '2147483648'],
    ['9007199254740993', '9007199254740993'],
    ['"1"', '"1"'],
    ['null', 'null'],
  ] as const) {
    assert.throws(() => read([{ ...X, shape: `[1,${dim}]` }, K]), {
      code: 'INVALID_INPUT',
      path: 'inputs[0].shape[1]',
      message: new RegExp(
        `^input x: inputs\\[0\\]\\.shape\\[1\\]: expected an integer from 0 to 2147483647, got ${given}$`,
      ),
    });
  }
});

test('inputs that are no array of objects are refused', () => {
  for (const [inputs, path, message] of [
    [undefined, 'inputs', /got none/],
    [null, 'inputs', /got null/],
    [{ __proto__: null, x: 1 }, 'inputs', /got an object/],
    [['x'], 'inputs[0]', /expected an object with a name, got "x"/],
    [[[]], 'inputs[0]', /got an array of 0 values/],
  ] as const) {
    assert.throws(() => readInputs(inputs as never, TWO, new Uint8Array()), { code: 'INVALID_INPUT', path, message });
  }
});

test('members and parameters that the protocol does not have are ignored', () => {
  const bytes = Buffer.from(
    '[{"name":"k","datatype":"INT64","shape":[1],"data":[7],"more":1,"parameters":{"other":true}}]',
  );
  const { inputs, outputs } = TWO;
  const [tensor] = readInputs(readJson(bytes), { inputs: [inputs[1]!], outputs }, new Uint8Array());
  assert.deepEqual(tensor, { dtype: 'int64', dims: [1], data: BigInt64Array.of(7n) });
});
