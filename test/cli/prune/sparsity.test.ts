import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sparsify } from '../../../functions/cli/prune/sparsity.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import { readTensor } from '../../../functions/onnx/edit/tensor-data.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import type { TensorProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const file = tempFiles('sparsity-');
function open(weights: TensorProto, extra: TensorProto[] = []) {
  return openModel(
    file(
      'model.onnx',
      model({
        name: 'net',
        nodes: [node('MatMul', ['x', 'w'], ['h']), node('Add', ['h', 'b'], ['y'])],
        initializers: [weights, initializer('b', 'float32', [1, 2], [1e-9, 1]), ...extra],
        inputs: [value('x', 'float32', ['N', 4])],
        outputs: [value('y', 'float32')],
      }),
    ),
  );
}

/** The weights after some share of them became zero. */
async function zeroed(weights: TensorProto, share: number) {
  const opened = open(weights);
  const report = await sparsify(opened, { share });
  return { report, bytes: await readTensor(opened, opened.graph.initializer[0]!) };
}

test('the smallest magnitudes become zero, whatever their sign; of equal ones the first', async () => {
  const weights = initializer('w', 'float32', [2, 4], [3, -1, 2, -2, 5, 2, -4, 0.5]);
  const { bytes, report } = await zeroed(weights, 0.5);
  assert.deepEqual(Array.from(new Float32Array(bytes.buffer)), [3, 0, 0, 0, 5, 2, -4, 0]);
  assert.deepEqual(report, { tensors: 1, elements: 8, zeros: 4, skipped: 0 });
});

test('of many weights exactly the share becomes zero, and none of those is larger than one that stays', async () => {
  const random = createRandom(1);
  const values = Float32Array.from({ length: 512 * 1024 + 7 }, () => (random.int(2 ** 24) / 2 ** 23 - 1) ** 3);
  for (const share of [0.1, 0.5, 0.9]) {
    const { bytes, report } = await zeroed(initializer('w', 'float32', [1, values.length], values), share);
    const after = new Float32Array(bytes.buffer);
    const expected = Math.floor(values.length * share);
    assert.equal(after.filter((one) => one === 0).length, expected);
    assert.equal(report.zeros, expected);
    const gone = values.filter((_, i) => after[i] === 0).reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    const kept = after.filter((one) => one !== 0).reduce((least, one) => Math.min(least, Math.abs(one)), 1);
    assert.ok(gone <= kept, `${gone} ${kept}`);
    assert.ok(after.every((one, i) => one === 0 || one === values[i]));
  }
});

test('float16 weights are compared by their magnitude too', async () => {
  const halves = new Uint16Array(Float16Array.of(3, -1, 2, -0.5).buffer);
  const { bytes } = await zeroed(initializer('w', 'float16', [2, 2], halves), 0.5);
  assert.deepEqual(Array.from(new Float16Array(bytes.buffer)), [3, 0, 2, 0]);
});

test('zeros that the weights have already count, and none and all are possible', async () => {
  const weights = () => initializer('w', 'float32', [2, 2], [0, -0, 0, 4]);
  assert.equal((await zeroed(weights(), 0.5)).report.zeros, 3);
  assert.equal((await zeroed(weights(), 0)).report.zeros, 3);
  const all = await zeroed(weights(), 1);
  assert.equal(all.report.zeros, 4);
  assert.deepEqual(Array.from(new Float32Array(all.bytes.buffer), Math.abs), [0, 0, 0, 0]);
});

test('biases, and weights of other types, stay as they are', async () => {
  const opened = open(initializer('w', 'float64', [2, 2], [1, 2, 3, 4]));
  assert.deepEqual(await sparsify(opened, { share: 0.5 }), { tensors: 0, elements: 0, zeros: 0, skipped: 1 });
  const bias = await readTensor(opened, opened.graph.initializer[1]!);
  assert.deepEqual(new Float32Array(bias.buffer), Float32Array.of(1e-9, 1));
});
