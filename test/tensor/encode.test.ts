import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFlat, decodeNested } from '../../functions/tensor/decode.ts';
import { encodeFlat, encodeNested, encodeRow, encodeValue } from '../../functions/tensor/encode.ts';
import { readJson } from '../../functions/tensor/json/reader.ts';
import { DTYPES, type DType, elementCount, type Tensor, type TensorData } from '../../functions/tensor/tensor.ts';

const read = (text: string) => readJson(Buffer.from(text));
const float32 = (dims: number[], ...values: number[]): Tensor => ({
  dtype: 'float32',
  dims,
  data: Float32Array.from(values),
});

const bigInts = (min: bigint, max: bigint) =>
  fc.oneof(fc.bigInt(min, max), fc.bigInt(-1000n > min ? -1000n : min, 1000n));
/** Any element of a dtype, as it is stored; float16 as bits that are no NaN with a payload. */
const ELEMENTS: Record<DType, fc.Arbitrary<number | bigint | string>> = {
  float16: fc.nat(0xffff).filter((bits) => (bits & 0x7c00) !== 0x7c00 || [0x7c00, 0xfc00, 0x7e00].includes(bits)),
  float32: fc.float(),
  float64: fc.double(),
  int8: fc.integer({ min: -128, max: 127 }),
  int16: fc.integer({ min: -32768, max: 32767 }),
  int32: fc.integer(),
  int64: bigInts(-(2n ** 63n), 2n ** 63n - 1n),
  uint8: fc.nat(255),
  uint16: fc.nat(65535),
  uint32: fc.nat(4294967295),
  uint64: bigInts(0n, 2n ** 64n - 1n),
  bool: fc.nat(1),
  // A NUL would end the text for the model, and is not taken.
  string: fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
};

function anyTensor(dtype: DType): fc.Arbitrary<Tensor> {
  const dims = fc.oneof(fc.array(fc.nat(4), { maxLength: 4 }), fc.tuple(fc.nat(3), fc.integer({ min: 30, max: 40 })));
  return dims.chain((sizes) => {
    const length = elementCount(sizes);
    return fc.array(ELEMENTS[dtype], { minLength: length, maxLength: length }).map((elements) => {
      const data: TensorData = DTYPES[dtype].make(length);
      elements.forEach((element, i) => {
        (data as (typeof element)[])[i] = element;
      });
      return { dtype, dims: sizes, data };
    });
  });
}

for (const dtype of Object.keys(DTYPES) as DType[]) {
  test(`a ${dtype} tensor of any dims is read back from its text bit for bit`, () => {
    fc.assert(
      fc.property(anyTensor(dtype), (tensor) => {
        assert.deepEqual(decodeNested(read(encodeNested(tensor)), dtype, tensor.dims, 'x'), tensor);
        assert.deepEqual(decodeFlat(read(encodeFlat(tensor)), dtype, tensor.dims, 'x'), tensor);
      }),
      { numRuns: 200 },
    );
  });

  test(`the texts of rows and values of a ${dtype} tensor are parts of that of the tensor`, () => {
    fc.assert(
      fc.property(
        anyTensor(dtype).filter((tensor) => tensor.dims.length > 0),
        (tensor) => {
          const rows = Array.from({ length: tensor.dims[0]! }, (_, row) => encodeRow(tensor, row));
          assert.equal(`[${rows.join(',')}]`, encodeNested(tensor));
          const values = Array.from({ length: tensor.data.length }, (_, i) => encodeValue(tensor, i));
          assert.equal(`[${values.join(',')}]`, encodeFlat(tensor));
        },
      ),
      { numRuns: 50 },
    );
  });
}

test('a float32 has the format of String for the same decimal', () => {
  const values = [
    0.1, 0.5, -0.25, 1e-6, 1e-7, 1.5e-8, 123456.78, 16777215, 16777216, 1e20, 1e21, 3.4e38, 1e-45, 100, 0.3,
  ];
  const text = encodeNested(float32([values.length], ...values));
  assert.equal(text, `[${values.map(String).join(',')}]`);
});

test('any shortest decimal of a float32 has the format of String', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = encodeValue(float32([1], value), 0);
      assert.equal(text, Object.is(value, -0) ? '-0' : String(Number(text)));
      assert.equal(Math.fround(Number(text)), value);
    }),
    { numRuns: 5000 },
  );
});

test('-0, NaN and the infinities are kept', () => {
  const values = [-0, 0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const expected = '[-0,0,"NaN","Infinity","-Infinity"]';
  assert.equal(encodeFlat(float32([5], ...values)), expected);
  assert.equal(encodeFlat({ dtype: 'float64', dims: [5], data: Float64Array.from(values) }), expected);
  const halves = new Uint16Array(new Float16Array(values).buffer);
  assert.equal(encodeFlat({ dtype: 'float16', dims: [5], data: halves }), expected);
});

test('a row nests the other dimensions; of a rank 1 or 0 tensor it is a bare scalar', () => {
  assert.equal(encodeRow(float32([2, 2], 1, 2, 3, 4.25), 1), '[3,4.25]');
  assert.equal(encodeRow(float32([2, 2, 1], 1, 2, 3, 4.25), 0), '[[1],[2]]');
  assert.equal(encodeRow(float32([3], 1, 2, 0.1), 2), '0.1');
  assert.equal(encodeRow(float32([], 7.5), 0), '7.5');
  assert.equal(encodeRow(float32([2, 0]), 1), '[]');
  assert.equal(encodeNested(float32([], 7.5)), '7.5');
  assert.equal(encodeFlat(float32([], 7.5)), '[7.5]');
  assert.equal(encodeNested(float32([2, 0, 3])), '[[],[]]');
});

test('strings are JSON strings, a lone surrogate replaced', () => {
  const strings: Tensor = { dtype: 'string', dims: [3], data: ['a"\n', '\ud83d\ude00é', 'x\ud800y'] };
  assert.equal(encodeNested(strings), '["a\\"\\n","😀é","x\ufffdy"]');
});

test('a tensor of many blocks of text is complete', () => {
  const data = Float32Array.from({ length: 60_000 }, () => Math.fround(Math.random() - 0.5));
  const tensor: Tensor = { dtype: 'float32', dims: [2, 300, 100], data };
  assert.deepEqual(JSON.parse(encodeNested(tensor)).flat(2).map(Math.fround), Array.from(data));
  const empty: Tensor = { dtype: 'float32', dims: [50_000, 0], data: new Float32Array(0) };
  assert.equal(encodeNested(empty), `[${new Array(50_000).fill('[]').join(',')}]`);
  const wide: Tensor = { dtype: 'int64', dims: [20_000], data: new BigInt64Array(20_000).fill(-(2n ** 63n)) };
  assert.equal(encodeFlat(wide), `[${new Array(20_000).fill('-9223372036854775808').join(',')}]`);
});
