/** What turns a model's values into scores. */
export type Activation = 'softmax' | 'sigmoid' | 'none';

/** Floats as they are computed with; float16 has no arithmetic of its own. */
export type Floats = Float32Array | Float64Array;

/** The softmax of each row of `width` logits; all NaN where a logit is NaN or Infinity, as torch gives. */
export function softmaxRows<T extends Floats>(logits: T, width: number): T {
  const scores = logits.slice() as T;
  for (let from = 0; from < logits.length; from += width) {
    const to = from + width;
    // Without the maximum, a logit of 89 is already infinite as a float32.
    let most = Number.NEGATIVE_INFINITY;
    for (let i = from; i < to; i++) most = Math.max(most, logits[i]!);
    let sum = 0;
    for (let i = from; i < to; i++) sum += Math.exp(logits[i]! - most);
    for (let i = from; i < to; i++) scores[i] = Math.exp(logits[i]! - most) / sum;
  }
  return scores;
}

/** The sigmoid of each logit. */
export function sigmoid<T extends Floats>(logits: T): T {
  return logits.map((logit) => 1 / (1 + Math.exp(-logit))) as T;
}
