import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { QuantizedDtype } from '../../functions/cli/quantize/kernels/linear.ts';
import { liftConstants } from '../../functions/cli/quantize/static/constants.ts';
import type { Range } from '../../functions/cli/quantize/static/histogram.ts';
import { planQuantization } from '../../functions/cli/quantize/static/plan.ts';
import { quantizeGraph } from '../../functions/cli/quantize/static/quantize-graph.ts';
import { openModel } from '../../functions/onnx/edit/open-model.ts';
import { writeModel } from '../../functions/onnx/edit/write-model.ts';
import type { ModelProto, NodeProto } from '../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../functions/onnx/proto/read.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';

interface Choices {
  /** Ranges of values; others have `otherwise`. */
  readonly ranges?: Readonly<Record<string, Range>>;
  /** Default: -8 to 8. */
  readonly otherwise?: Range;
  readonly activations?: QuantizedDtype;
  /** Values that are not float32. */
  readonly others?: readonly string[];
  readonly isSelected?: (node: NodeProto) => boolean;
}

/** Quantizes a model file with given ranges in place of calibrated ones. */
export async function quantizeStatically(path: string, choices: Choices = {}) {
  const model = openModel(path);
  liftConstants(model.graph);
  const plan = await planQuantization(model, {
    opset: Number(model.proto.opsetImport[0]!.version),
    isSelected: choices.isSelected ?? (() => true),
    isFloat32: (value) => choices.others?.includes(value) !== true,
  });
  const ranges = new Map(
    [...plan.activations.keys()].map((value) => [
      value,
      choices.ranges?.[value] ?? choices.otherwise ?? { min: -8, max: 8 },
    ]),
  );
  const skipped = await quantizeGraph(model, plan, {
    activations: choices.activations ?? 'int8',
    isReduced: false,
    ranges,
    progress: () => {},
  });
  const result = `${path}.quantized.onnx`;
  await writeModel(model, result);
  return { path: result, proto: readModel(readFileSync(result), result), plan, skipped };
}

/** The operators of a graph and how many nodes each has, by name. */
export function countOperators({ graph }: ModelProto): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { opType } of graph!.node) counts[opType] = (counts[opType] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort());
}

/** Runs a model file on one feed of each input. @returns the elements of each output, in the order of the model */
export async function runOnce(path: string, feeds: Readonly<Record<string, Tensor>>): Promise<number[][]> {
  const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
  try {
    const results = await session.run(feeds);
    return session.outputNames.map((name) => Array.from(results[name]!.data as Float32Array, Number));
  } finally {
    await session.release();
  }
}

/** The largest difference between the outputs of two runs. */
export function largestDifference(left: readonly number[][], right: readonly number[][]): number {
  return Math.max(...left.flatMap((values, o) => values.map((value, i) => Math.abs(value - right[o]![i]!))));
}

/** Numbers between -1 and 1 that look random. */
export const noise = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 * seed) * 0.999);

/** A float32 tensor of {@link noise}. */
export const noiseTensor = (dims: readonly number[], seed = 1): Tensor =>
  new Tensor(
    'float32',
    Float32Array.from(
      noise(
        dims.reduce((a, b) => a * b, 1),
        seed,
      ),
    ),
    dims,
  );
