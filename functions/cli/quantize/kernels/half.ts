/** Taken before the loader of onnxruntime removes the global class. */
export const Halves = globalThis.Float16Array;

/** The smallest positive and the largest float16. */
export const HALF_RANGE = { min: 5.96e-8, max: 65504 } as const;

export interface ConvertedHalves {
  /** The bits of each. */
  readonly data: Uint16Array<ArrayBuffer>;
  /** Elements that were finite and beyond ±65504, and became ±65504. */
  readonly clamped: number;
  /** Elements below the smallest float16 in magnitude, but not 0, that became ±5.96e-8. */
  readonly raised: number;
}

/**
 * Converts to float16, rounding to the nearest, ties to even. A finite element stays finite, and an element other than 0 stays
 * other than 0, as in `convert_np_to_float16` of onnxruntime's Python tools; NaN and infinities stay.
 */
export function toHalves(values: Float32Array | Float64Array): ConvertedHalves {
  const halves = new Halves(values.length);
  let [clamped, raised] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const magnitude = Math.abs(value);
    if (magnitude > HALF_RANGE.max && magnitude < Number.POSITIVE_INFINITY) {
      clamped += 1;
      halves[i] = Math.sign(value) * HALF_RANGE.max;
    } else if (magnitude < HALF_RANGE.min && magnitude > 0) {
      raised += 1;
      halves[i] = Math.sign(value) * HALF_RANGE.min;
    } else halves[i] = value;
  }
  return { data: new Uint16Array(halves.buffer), clamped, raised };
}
