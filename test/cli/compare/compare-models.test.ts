import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareModels } from '../../../functions/cli/compare/compare-models.ts';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { poisonable, rowsSeeEachOther } from '../../helpers/models.ts';
import { tempFiles } from '../../helpers/temp-file.ts';
import { float32 } from '../../helpers/tensors.ts';

const file = tempFiles('compare-');
const row = (...values: number[]): Feeds => ({ tensors: [float32([1, values.length], values)], rows: 1 });

/** `scores` [N,2] = `x` [N,2] + `shift` [2]; `sum` [N,1] of them. */
function shifted(shift: number[], { outputs = ['scores', 'sum'] } = {}) {
  return model({
    name: 'shifted',
    nodes: [node('Add', ['x', 'shift'], ['scores']), node('ReduceSum', ['scores', 'axis'], ['sum'])],
    initializers: [initializer('shift', 'float32', [2], shift), initializer('axis', 'int64', [1], [1])],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: outputs.map((name) => value(name, 'float32', ['N', name === 'sum' ? 1 : 2])),
  });
}

/** `y` = `a` - `b`, float32 [N,1]. */
const difference = (inputs: string[]) =>
  model({
    name: 'difference',
    nodes: [node('Sub', ['a', 'b'], ['y'])],
    inputs: inputs.map((name) => value(name, 'float32', ['N', 1])),
    outputs: [value('y', 'float32', ['N', 1])],
  });

test('two models are compared over rows: classes, differences by output, sizes, and whether rows are joined', async () => {
  const bytes = [shifted([0, 0]), shifted([0.5, 0], { outputs: ['sum', 'scores'] })];
  const compared: number[] = [];
  const comparison = await compareModels({
    original: file('plain.onnx', bytes[0]!),
    result: file('shifted.onnx', bytes[1]!),
    rows: [row(0, 1), row(1, 0), row(0, 0.25), row(-4, 4)],
    onRow: (rows) => compared.push(rows),
  });
  const { original, result, ...rest } = comparison;
  assert.deepEqual(rest, {
    rows: 4,
    agreement: { output: 'scores', equal: 3, of: 4, share: 0.75 },
    outputs: [
      {
        output: 'scores',
        elements: 8,
        unequal: 4,
        otherShapes: 0,
        difference: { largest: 0.5, mean: 0.25, largestRelative: 0.5, meanRelative: (3 * 0.5 + 0.5 / 4) / 8 },
      },
      {
        output: 'sum',
        elements: 4,
        unequal: 4,
        otherShapes: 0,
        difference: { largest: 0.5, mean: 0.5, largestRelative: 0.5, meanRelative: 0.5 },
      },
    ],
    missing: [],
  });
  assert.deepEqual([original.bytes, result.bytes], [bytes[0]!.length, bytes[1]!.length]);
  assert.deepEqual([original.joining.enabled, result.joining.decidedBy], [true, 'proof']);
  assert.ok(original.runMs > 0 && result.runMs > 0);
  assert.deepEqual(compared, [1, 2, 3, 4]);
});

test('inputs and outputs are found by their names, and an output that the result lacks is named', async () => {
  const paths = { original: file('ab.onnx', difference(['a', 'b'])), result: file('ba.onnx', difference(['b', 'a'])) };
  const feeds: Feeds = { tensors: [float32([1, 1], [3]), float32([1, 1], [2])], rows: 1 };
  assert.equal((await compareModels({ ...paths, rows: [feeds] })).outputs[0]!.difference?.largest, 0);

  const fewer = await compareModels({
    original: file('both.onnx', shifted([0, 0])),
    result: file('one.onnx', shifted([0, 0], { outputs: ['sum'] })),
    rows: [row(1, 2)],
  });
  assert.deepEqual([fewer.missing, fewer.outputs.map(({ output }) => output)], [['scores'], ['sum']]);
  assert.equal(fewer.agreement, undefined);
});

test('a result whose rows the server would not join is reported with the reason', async () => {
  const { original, result } = await compareModels({
    original: file('apart.onnx', rowsSeeEachOther()),
    result: file('together.onnx', rowsSeeEachOther()),
    rows: [row(1, 2, 3)],
  });
  assert.deepEqual(original.joining, result.joining);
  assert.equal(result.joining.enabled, false);
  assert.match(result.joining.reason, /ReduceMean/);
});

test('models with other inputs are not compared, and a row that fails is named', async () => {
  const path = file('x.onnx', shifted([0, 0]));
  const other = file('other.onnx', difference(['a', 'b']));
  await assert.rejects(compareModels({ original: path, result: other, rows: [row(1, 2)] }), {
    code: 'MODEL_FAILED',
    message: `${other}: its inputs are a (float32), b (float32), and those of the original are x (float32): compare models with the same inputs`,
  });
  const fragile = file('fragile.onnx', poisonable());
  await assert.rejects(compareModels({ original: fragile, result: fragile, rows: [row(1), row(-1)] }), (error: Error) =>
    error.message.startsWith(`${fragile}: row 1: `),
  );
});
