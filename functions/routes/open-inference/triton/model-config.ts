import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';
import type { Repository } from '../../../model/repository/repository.ts';
import type { Generation } from '../../../model/serving/generation.ts';
import type { DType, TensorSpec } from '../../../tensor/tensor.ts';
import { describedAt, MODEL_PATHS } from '../addressing.ts';

/** What the model configuration routes need. */
export interface ModelConfigOptions {
  readonly repository: Repository;
  /** Most rows of a run: `MAX_BATCH_SIZE`. */
  readonly maxBatchSize: number;
  /** Longest that a row waits for others, in milliseconds: `BATCH_DELAY_MS`. */
  readonly batchDelayMs: number;
  /** Whether engine processes use a GPU. */
  readonly onGpu: boolean;
}

/** `GET /v2/models/{name}[/versions/{version}]/config` (Triton, model configuration extension). */
export function createModelConfigRoutes({ repository, ...options }: ModelConfigOptions): Route[] {
  async function handle(context: RequestContext): Promise<void> {
    const live = await describedAt(repository, context);
    sendJson(context, 200, JSON.stringify(describeConfig(context.params.name!, live, options)));
  }
  return MODEL_PATHS.map((model) => ({ method: 'GET', path: `${model}/config`, handle }));
}

type Configured = Pick<Generation, 'signature' | 'joinsRows' | 'engines'>;

/**
 * Describes a loaded model as Triton's `ModelConfig` in JSON (triton-inference-server/common, protobuf/model_config.proto;
 * primitive fields are written with their defaults, and 64-bit integers as numbers, as Triton does).
 * @param name of the model in the request.
 * @returns `max_batch_size` is 0 if rows do not share a run: the dims are complete shapes then. If they share one, the first
 * dimension, the batch, is left out; the dims of a column without further dimensions are empty.
 */
export function describeConfig(
  name: string,
  { signature, joinsRows, engines }: Configured,
  { maxBatchSize, batchDelayMs, onGpu }: Omit<ModelConfigOptions, 'repository'>,
): object {
  const dimsOf = ({ shape }: TensorSpec): readonly number[] => (joinsRows ? shape.slice(1) : shape);
  return {
    name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    runtime: '',
    // Each version is served under its number.
    version_policy: { all: {} },
    max_batch_size: joinsRows ? maxBatchSize : 0,
    input: signature.inputs.map((spec) => ({
      name: spec.name,
      data_type: DATA_TYPES[spec.dtype],
      format: formatOf(dimsOf(spec)),
      dims: dimsOf(spec),
      is_shape_tensor: false,
      allow_ragged_batch: false,
      optional: false,
      is_non_linear_format_io: false,
    })),
    output: signature.outputs.map((spec) => ({
      name: spec.name,
      data_type: DATA_TYPES[spec.dtype],
      dims: dimsOf(spec),
      label_filename: '',
      is_shape_tensor: false,
      is_non_linear_format_io: false,
    })),
    batch_input: [],
    batch_output: [],
    ...(joinsRows && {
      dynamic_batching: {
        preferred_batch_size: [maxBatchSize],
        max_queue_delay_microseconds: Math.round(batchDelayMs * 1000),
        preserve_ordering: false,
        priority_levels: 0,
        default_priority_level: 0,
        priority_queue_policy: {},
      },
    }),
    instance_group: [
      {
        name,
        kind: onGpu ? 'KIND_GPU' : 'KIND_CPU',
        count: engines().length,
        gpus: onGpu ? [0] : [],
        secondary_devices: [],
        profile: [],
        passive: false,
        host_policy: '',
      },
    ],
    default_model_filename: '',
    cc_model_filenames: {},
    metric_tags: {},
    parameters: {},
    model_warmup: [],
    model_transaction_policy: { decoupled: false },
  };
}

/** `DataType` of model_config.proto. */
const DATA_TYPES: Readonly<Record<DType, string>> = {
  bool: 'TYPE_BOOL',
  uint8: 'TYPE_UINT8',
  uint16: 'TYPE_UINT16',
  uint32: 'TYPE_UINT32',
  uint64: 'TYPE_UINT64',
  int8: 'TYPE_INT8',
  int16: 'TYPE_INT16',
  int32: 'TYPE_INT32',
  int64: 'TYPE_INT64',
  float16: 'TYPE_FP16',
  float32: 'TYPE_FP32',
  float64: 'TYPE_FP64',
  string: 'TYPE_STRING',
};

/** Channels of an image: grey or colour. */
const CHANNELS: readonly number[] = [1, 3];

/**
 * `ModelInput.Format`, which Triton's image_client.py requires of a model for images. An ONNX file does not have it: if one of
 * three dims, the first or else the last, is 1 or 3, it is assumed to be the channels.
 */
function formatOf(dims: readonly number[]): string {
  if (dims.length === 3 && CHANNELS.includes(dims[0]!)) return 'FORMAT_NCHW';
  return dims.length === 3 && CHANNELS.includes(dims[2]!) ? 'FORMAT_NHWC' : 'FORMAT_NONE';
}
