import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { optimizeGraph } from '../../../functions/cli/optimize/optimize-graph.ts';
import { optimizeModel } from '../../../functions/cli/optimize/optimize-model.ts';
import { openSession } from '../../../functions/engine/process/session.ts';
import { ServingError } from '../../../functions/errors.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import { inspectModel } from '../../../functions/onnx/inspect.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { findDifference } from '../../../functions/tensor/compare.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { COLUMNS, EXTERNAL, LARGE_WEIGHTS, layers } from '../../helpers/large-weights.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const progress = { step: () => {}, update: () => {}, note: () => {}, end: () => {} };
const signal = new AbortController().signal;
const ROWS = 3;

let folder: string;
let result: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'optimize-'));
  result = mkdtempSync(join(tmpdir(), 'optimized-'));
  writeFileSync(join(folder, 'model.onnx.data'), EXTERNAL);
});
afterEach(() => {
  for (const one of [folder, result]) rmSync(one, { recursive: true });
});

function optimize(content: Uint8Array, options: Partial<Parameters<typeof optimizeModel>[1]> = {}) {
  const path = join(folder, 'model.onnx');
  writeFileSync(path, content);
  const defaults = { level: 'extended', prepacks: false, isForThisMachine: false, progress, signal } as const;
  return optimizeModel(openModel(path), { ...defaults, folder: result, path: join(result, 'new.onnx'), ...options });
}

/** The outputs for some rows, as an engine process of the server has them. */
async function predict(path: string) {
  const session = await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'], weights: 'packed' });
  const random = createRandom(1);
  const data = Float32Array.from({ length: ROWS * COLUMNS }, () => random.int(1000) / 500 - 1);
  return session.run([{ slot: 0, dtype: 'float32', dims: [ROWS, COLUMNS], data }]);
}

async function assertSame(): Promise<void> {
  const [expected, got] = [await predict(join(folder, 'model.onnx')), await predict(join(result, 'new.onnx'))];
  assert.equal(got.length, expected.length);
  for (const [i, output] of expected.entries()) assert.equal(findDifference(output, got[i]!, 1e-5), undefined);
}

/** A convolution with a BatchNormalization, which onnxruntime folds into its weights, and a Relu, which it fuses. */
function convolution() {
  const channel = (name: string, fill: number) => initializer(name, 'float32', [64], new Float32Array(64).fill(fill));
  const kernel = Float32Array.from({ length: 64 * 9 }, (_, i) => ((i * 37) % 11) / 11 - 0.5);
  return model({
    name: 'net',
    nodes: [
      node('Reshape', ['x', 'shape'], ['image']),
      node('Conv', ['image', 'k'], ['c'], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
      node('BatchNormalization', ['c', 's', 'b', 'm', 'v'], ['n']),
      node('Relu', ['n'], ['r']),
      node('GlobalAveragePool', ['r'], ['y']),
    ],
    initializers: [
      initializer('shape', 'int64', [4], [-1, 1, 8, 8]),
      initializer(
        'k',
        'float32',
        [64, 1, 3, 3],
        kernel.map((one) => one + 0.01),
      ),
      channel('s', 1.5),
      channel('b', 0.1),
      channel('m', 0.2),
      channel('v', 2),
    ],
    inputs: [value('x', 'float32', ['N', COLUMNS])],
    outputs: [value('y', 'float32')],
    metadata: { task: 'test' },
  });
}

for (const [title, build] of Object.entries(LARGE_WEIGHTS)) {
  test(`a model with ${title} is optimised, loads in the server's session, and gives the same`, async () => {
    await optimize(build());
    await assertSame();
  });
}

test('a BatchNormalization is folded and a Relu fused; the report says what is new, and metadata stay', async () => {
  const report = await optimize(convolution());
  assert.deepEqual([report.nodesBefore, report.nodes, report.isForThisMachine], [5, 3, false]);
  assert.deepEqual([...report.added], [['FusedConv', 1]]);
  const { proto } = openModel(join(result, 'new.onnx'));
  assert.deepEqual(
    proto.metadataProps.map(({ key, value: text }) => [key, text]),
    [['task', 'test']],
  );
  await assertSame();
});

test('level basic folds without operators of onnxruntime', async () => {
  const report = await optimize(convolution(), { level: 'basic' });
  assert.deepEqual([report.nodes, [...report.added]], [4, []]);
  await assertSame();
});

describe('a result for this machine alone', () => {
  test('is refused at level all, where convolutions get the layout of the CPU', async () => {
    await assert.rejects(optimize(convolution(), { level: 'all' }), (error) => {
      return (
        error instanceof ServingError &&
        /com\.microsoft\.nchwc.*: use --level extended, or add --this-machine/.test(error.message)
      );
    });
  });

  test('is written if that is wanted', async () => {
    const report = await optimize(convolution(), { level: 'all', isForThisMachine: true });
    assert.ok(report.isForThisMachine);
    await assertSame();
  });

  test('is not what level all makes of a model without convolutions', async () => {
    assert.ok(!(await optimize(layers(), { level: 'all' })).isForThisMachine);
  });

  test('has its weights packed beside the model, which the session uses', async () => {
    const report = await optimize(layers(), { prepacks: true, isForThisMachine: true });
    assert.ok(report.isForThisMachine);
    assert.deepEqual(readdirSync(result).sort(), ['new.onnx', 'new.onnx.data']);
    assert.deepEqual(inspectModel(join(result, 'new.onnx')).external, ['new.onnx.data']);
    // The weights as they are, and packed.
    assert.ok(statSync(join(result, 'new.onnx.data')).size > 1.8 * layers().length);
    await assertSame();
  });
});

test('weights are inside or outside as in the model, or as is wanted', async () => {
  const external = (): readonly string[] => inspectModel(join(result, 'new.onnx')).external;
  await optimize(layers());
  assert.deepEqual(external(), []);
  await optimize(layers(), { externalData: true });
  assert.deepEqual(external(), ['new.onnx.data']);
  await assertSame();
});

test('a model behind a link is optimised', async () => {
  writeFileSync(join(folder, 'real.onnx'), layers());
  symlinkSync(join(folder, 'real.onnx'), join(folder, 'model.onnx'));
  const options = { level: 'extended', prepacks: false, isForThisMachine: false, progress, signal } as const;
  await optimizeModel(openModel(join(folder, 'model.onnx')), {
    ...options,
    folder: result,
    path: join(result, 'new.onnx'),
  });
  await assertSame();
});

test('a model that onnxruntime refuses is refused with its path and a reason', async () => {
  const content = model({
    name: 'net',
    nodes: [node('Nonsense', ['x'], ['y'])],
    inputs: [value('x', 'float32', ['N', COLUMNS])],
    outputs: [value('y', 'float32')],
  });
  await assert.rejects(optimize(content), (error) => {
    return (
      error instanceof ServingError &&
      error.message.startsWith(join(folder, 'model.onnx')) &&
      /Nonsense/.test(error.message)
    );
  });
});

test('an abort ends the process that optimises, with its reason', async () => {
  const path = join(folder, 'model.onnx');
  writeFileSync(path, layers());
  const controller = new AbortController();
  const order = { path, level: 'extended', file: join(result, 'o'), prepacks: false } as const;
  const running = optimizeGraph(order, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(running, /^Error: stop$/);
  await assert.rejects(optimizeGraph(order, controller.signal), /^Error: stop$/);
});
