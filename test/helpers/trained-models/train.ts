import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { LabelledImages } from './images.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';

/** A parameter of a model that is trained. */
export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  values: Float32Array<ArrayBuffer>;
}

/**
 * A model file whose one run is a step of gradient descent. Inputs: `x` [rows, …], `target` [rows, classes] with a 1 for the class of
 * a row, `rate` [], and each parameter by its name. Outputs: each parameter after the step, by its name and `_next`.
 */
export type TrainingStep = Uint8Array;

interface Schedule {
  readonly steps: number;
  readonly rows: number;
  /** Rate of the first step; it falls to 0 in a straight line. */
  readonly rate: number;
  readonly classes: number;
  /** Dims of the input, without the rows. */
  readonly inputDims: readonly number[];
}

/** Trains `parameters` in place on images that `next` makes, by the runs of `step` on one thread. */
export async function train(
  step: TrainingStep,
  parameters: readonly Parameter[],
  next: (count: number) => LabelledImages,
  { steps, rows, rate, classes, inputDims }: Schedule,
): Promise<void> {
  const session = await InferenceSession.create(step, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    let tensors = parameters.map(({ values, dims }) => new Tensor('float32', values, dims));
    for (let at = 0; at < steps; at++) {
      const { pixels, labels } = next(rows);
      const target = new Float32Array(rows * classes);
      for (const [row, label] of labels.entries()) target[row * classes + label] = 1;
      const results = await session.run({
        x: new Tensor('float32', pixels, [rows, ...inputDims]),
        target: new Tensor('float32', target, [rows, classes]),
        rate: new Tensor('float32', [rate * (1 - at / steps)], []),
        ...Object.fromEntries(parameters.map(({ name }, i) => [name, tensors[i]!])),
      });
      tensors = parameters.map(({ name }) => results[`${name}_next`] as (typeof tensors)[number]);
    }
    for (const [i, parameter] of parameters.entries()) parameter.values = tensors[i]!.data as Float32Array<ArrayBuffer>;
  } finally {
    await session.release();
  }
}

/** The share of the rows whose largest output is that of their label. @param scores [rows, classes] */
export function accuracy(scores: Float32Array, labels: Uint8Array): number {
  const classes = scores.length / labels.length;
  const right = labels.filter((label, row) => {
    const row_ = scores.subarray(row * classes, (row + 1) * classes);
    return row_.indexOf(Math.max(...row_)) === label;
  });
  return right.length / labels.length;
}
