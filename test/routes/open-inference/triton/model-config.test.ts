import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeConfig } from '../../../../functions/routes/open-inference/triton/model-config.ts';
import { DTYPES, type DType, type TensorSpec } from '../../../../functions/tensor/tensor.ts';

const OPTIONS = { maxBatchSize: 64, batchDelayMs: 2, onGpu: false };
const spec = (name: string, dtype: DType, ...shape: number[]): TensorSpec => ({ name, dtype, shape });

interface Tensor {
  readonly name: string;
  readonly data_type: string;
  readonly dims: number[];
  readonly format?: string;
}
interface Config {
  readonly [field: string]: unknown;
  readonly max_batch_size: number;
  readonly input: Tensor[];
  readonly output: Tensor[];
}

function configOf(inputs: TensorSpec[], outputs: TensorSpec[], joinsRows: boolean, options = OPTIONS): Config {
  const engines = () => [0, 1].map((slot) => ({ slot, pid: 7, state: 'idle' as const, runs: 0 }));
  return describeConfig('m', { signature: { inputs, outputs }, joinsRows, engines }, options) as Config;
}
const parts = (tensors: Tensor[]) => tensors.map(({ name, data_type, dims }) => [name, data_type, dims]);

test('a model whose rows share a run has a batch size, a batcher, and dims without the batch', () => {
  const config = configOf([spec('INPUT0', 'int32', -1, 16)], [spec('OUTPUT0', 'string', -1)], true);
  assert.deepEqual([config.max_batch_size, config.platform, config.backend], [64, 'onnxruntime_onnx', 'onnxruntime']);
  assert.deepEqual(parts(config.input), [['INPUT0', 'TYPE_INT32', [16]]]);
  assert.deepEqual(parts(config.output), [['OUTPUT0', 'TYPE_STRING', []]]);
  assert.equal((config.dynamic_batching as Record<string, unknown>).max_queue_delay_microseconds, 2000);
});

test('a model that runs one request at a time has batch size 0, no batcher, and complete shapes', () => {
  const config = configOf([spec('x', 'float32', -1, 4)], [spec('y', 'float64', 1, 3)], false);
  assert.equal(config.max_batch_size, 0);
  assert.equal('dynamic_batching' in config, false);
  assert.deepEqual(parts(config.input), [['x', 'TYPE_FP32', [-1, 4]]]);
  assert.deepEqual(parts(config.output), [['y', 'TYPE_FP64', [1, 3]]]);
});

test('every element type has a name of the configuration, each its own', () => {
  const inputs = (Object.keys(DTYPES) as DType[]).map((dtype) => spec(dtype, dtype, -1));
  const names = configOf(inputs, [], true).input.map(({ data_type }) => data_type);
  assert.equal(new Set(names).size, inputs.length);
  for (const name of names) assert.match(name, /^TYPE_(BOOL|U?INT(8|16|32|64)|FP(16|32|64)|STRING)$/);
});

test('images say where their channels are, and nothing else is taken for an image', () => {
  for (const [dims, format] of [
    [[3, 224, 224], 'FORMAT_NCHW'],
    [[1, 28, 28], 'FORMAT_NCHW'],
    [[-1, -1, 3], 'FORMAT_NHWC'],
    [[224, 224, 4], 'FORMAT_NONE'],
    [[3, 4], 'FORMAT_NONE'],
  ] as const) {
    const [input] = configOf([spec('x', 'float32', -1, ...dims)], [], true).input;
    assert.equal(input!.format, format, String(dims));
  }
});

test('the engine processes are the instances, on the CPU or on a GPU', () => {
  const group = (onGpu: boolean) =>
    (configOf([], [], true, { ...OPTIONS, onGpu }).instance_group as Record<string, unknown>[])[0]!;
  assert.deepEqual([group(false).kind, group(false).count, group(false).gpus], ['KIND_CPU', 2, []]);
  assert.deepEqual([group(true).kind, group(true).gpus], ['KIND_GPU', [0]]);
});
