import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../../functions/cli/measure/engine.ts';
import { readMemory } from '../../../functions/cli/measure/memory.ts';
import { joinRows } from '../../../functions/engine/batch-rows.ts';
import { RunError } from '../../../functions/engine/process/engine-process.ts';
import { ServingError } from '../../../functions/errors.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { addConstant, endless, unknownOperator } from '../../helpers/models.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const write = tempFiles('measure-');
const MIB = 2 ** 20;

/** A product with 32 MiB of weights: `y` float32 [N, 8192]. */
const matmul = () =>
  model({
    name: 'matmul',
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [initializer('w', 'float32', [1024, 8192], new Float32Array(1024 * 8192).fill(0.5))],
    inputs: [value('x', 'float32', ['N', 1024])],
    outputs: [value('y', 'float32', ['N', 8192])],
  });

const row = (...values: number[]) => {
  const tensor = { dtype: 'float32' as const, dims: [1, values.length], data: Float32Array.from(values) };
  return joinRows([{ feeds: { tensors: [tensor], rows: 1 }, first: 0, rows: 1 }]);
};

test('an engine process loads a model as the server does, and runs it', async () => {
  const engine = await openEngine({ path: write('add.onnx', addConstant(3)) });
  try {
    assert.deepEqual(engine.loaded.signature.inputs, [
      { name: 'x', dtype: 'float32', shape: [-1, 2], dimNames: ['N', null] },
    ]);
    const [output] = await engine.run(row(1, 2));
    assert.deepEqual([...(output!.data as Float32Array)], [4, 5]);
    assert.ok(engine.startMs > 0 && engine.loadMs > 0);
  } finally {
    await engine.close();
  }
});

test('the memory of the model is what the process takes more than before it loaded it', async () => {
  const engine = await openEngine({ path: write('matmul.onnx', matmul()) });
  try {
    const [before, after] = [engine.before!, engine.memory()!];
    assert.ok(after.privateBytes - before.privateBytes > 30 * MIB, 'packed weights are a copy of its own');
    assert.ok(before.sharedBytes > 0, 'programs are files');
    assert.ok(after.peakBytes >= after.privateBytes);
  } finally {
    await engine.close();
  }
});

test('mapped weights are shared memory', async () => {
  const engine = await openEngine({ path: write('mapped.onnx', matmul()), weights: 'mapped' });
  try {
    await engine.run(row(...new Array<number>(1024).fill(1)));
    const [before, after] = [engine.before!, engine.memory()!];
    assert.equal(engine.loaded.weights.use, 'mapped');
    assert.ok(after.privateBytes - before.privateBytes < 16 * MIB);
    assert.ok(after.sharedBytes - before.sharedBytes > 30 * MIB);
  } finally {
    await engine.close();
  }
});

test("a model that does not load is refused in the server's words, and the process has ended", async () => {
  const path = write('unknown.onnx', unknownOperator());
  await assert.rejects(openEngine({ path }), (error) => {
    assert.ok(error instanceof ServingError);
    assert.equal(error.code, 'MODEL_FAILED');
    assert.ok(error.message.startsWith(`${path}: the operator NoSuchOperator of the domain ai.onnx`), error.message);
    return true;
  });
});

test('an abort ends a run that never ends, and its process', async () => {
  const controller = new AbortController();
  const engine = await openEngine({ path: write('endless.onnx', endless()), signal: controller.signal });
  const running = engine.run(row(1));
  controller.abort();
  await assert.rejects(running, (error) => error instanceof RunError && error.fault === 'crashed');
  await engine.close();
  await assert.rejects(openEngine({ path: 'any.onnx', signal: controller.signal }), { name: 'AbortError' });
});

test('where there is no /proc, or the process has ended, the memory is not known', () => {
  assert.equal(readMemory(process.pid, '/nowhere'), undefined);
  assert.equal(readMemory(2 ** 22 + 1), undefined);
});
