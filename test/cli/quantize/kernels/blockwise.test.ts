import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type BlockOptions, quantizeBlocks } from '../../../../functions/cli/quantize/kernels/blockwise.ts';
import { initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';

test('4 bits: the first of two elements is in the low half of a byte, and 0 is the zero point', () => {
  const column = Float32Array.from({ length: 16 }, (_, i) => i - 5);
  const { data, scales, zeroPoints } = quantizeBlocks(
    column,
    { k: 16, n: 1 },
    { bits: 4, blockSize: 16, isSymmetric: false },
  );
  assert.deepEqual([...scales], [1]);
  // The high half belongs to a second block, which does not exist: it is 8, as onnxruntime's quantizer leaves it.
  assert.deepEqual([...zeroPoints!], [0x85]);
  assert.deepEqual([...data], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
});

test('a symmetric block has the element of the largest magnitude at 0, with a scale of the other sign', () => {
  const column = Float32Array.from({ length: 16 }, (_, i) => i / 2);
  const { data, scales, zeroPoints } = quantizeBlocks(
    column,
    { k: 16, n: 1 },
    { bits: 8, blockSize: 16, isSymmetric: true },
  );
  assert.equal(zeroPoints, undefined);
  assert.deepEqual([...scales], [-7.5 / 128]);
  assert.equal(data[0], 128);
  assert.equal(data[15], 0);
});

test('a block of zeros has the scale 0', () => {
  const { data, scales, zeroPoints } = quantizeBlocks(
    new Float32Array(32),
    { k: 16, n: 2 },
    { bits: 8, blockSize: 16, isSymmetric: false },
  );
  assert.deepEqual([[...scales], [...zeroPoints!], data.some((q) => q !== 0)], [[0, 0], [0, 0], false]);
});

test('an element that is not finite is an error', () => {
  for (const isSymmetric of [true, false]) {
    const values = new Float32Array(16).fill(Number.NaN, 3, 4);
    assert.throws(() => quantizeBlocks(values, { k: 16, n: 1 }, { bits: 4, blockSize: 16, isSymmetric }), RangeError);
  }
});

const LAYOUTS: [k: number, n: number, BlockOptions][] = [
  [64, 3, { bits: 4, blockSize: 32, isSymmetric: false }],
  [70, 5, { bits: 4, blockSize: 32, isSymmetric: false }],
  [70, 5, { bits: 4, blockSize: 16, isSymmetric: true }],
  [96, 2, { bits: 8, blockSize: 32, isSymmetric: false }],
  [33, 4, { bits: 8, blockSize: 16, isSymmetric: true }],
];

test('onnxruntime multiplies with the packed matrix as with the elements, within half a scale for each', async () => {
  for (const [k, n, options] of LAYOUTS) {
    const place = `${k} x ${n}, ${JSON.stringify(options)}`;
    const values = Float32Array.from({ length: k * n }, (_, i) => Math.sin(i * 1.7) * (1 + (i % 5)));
    const packed = quantizeBlocks(values, { k, n }, options);
    const blocks = Math.ceil(k / options.blockSize);
    const session = await InferenceSession.create(
      model({
        name: 'product',
        opsets: { 'com.microsoft': 1 },
        inputs: [value('x', 'float32', ['rows', k])],
        outputs: [value('y', 'float32', ['rows', n])],
        initializers: [
          initializer('w', 'uint8', [n, blocks, (options.blockSize * options.bits) / 8], packed.data),
          initializer('scales', 'float32', [n * blocks], packed.scales),
          ...(packed.zeroPoints ? [initializer('zeros', 'uint8', [packed.zeroPoints.length], packed.zeroPoints)] : []),
        ],
        nodes: [
          node(
            'MatMulNBits',
            ['x', 'w', 'scales', ...(packed.zeroPoints ? ['zeros'] : [])],
            ['y'],
            { K: BigInt(k), N: BigInt(n), bits: BigInt(options.bits), block_size: BigInt(options.blockSize) },
            { domain: 'com.microsoft' },
          ),
        ],
      }),
    );
    // The identity gives the elements of the matrix.
    const identity = Float32Array.from({ length: k * k }, (_, i) => (i % (k + 1) === 0 ? 1 : 0));
    const { y } = await session.run({ x: new Tensor('float32', identity, [k, k]) });
    const found = y!.data as Float32Array;
    for (const [i, element] of values.entries()) {
      const scale = Math.abs(packed.scales[(i % n) * blocks + Math.floor(Math.floor(i / n) / options.blockSize)]!);
      // The largest integer is half a range short for the side without the extreme of a symmetric block.
      const bound = scale * (options.isSymmetric ? 1.001 : 0.501);
      assert.ok(Math.abs(found[i]! - element) <= bound, `${place}: element ${i} is ${element}, became ${found[i]}`);
    }
    const transposed = Float32Array.from({ length: k * n }, (_, i) => values[(i % k) * n + Math.floor(i / k)]!);
    assert.deepEqual(quantizeBlocks(transposed, { k, n, isTransposed: true }, options), packed, place);
    await session.release();
  }
});
