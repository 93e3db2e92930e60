/** How many bytes the outputs of rows have, learned from runs. */
export interface OutputSizes {
  /** Records the outputs of a run. @param inputBytes of a row, and @param outputBytes of a row, on average. */
  learn(key: string, inputBytes: number, outputBytes: number): void;
  /** The bytes that the outputs of a row are expected to have: those of the last rows of this key, else in proportion to its inputs. */
  bytesPerRow(key: string, inputBytes: number): number;
}

/** Keys are shapes that callers choose. */
const MOST_KEYS = 256;

/**
 * Creates the memory of output sizes by the key of rows: see `keyOf`.
 * @param factor the most bytes of outputs for one of the inputs that is known so far.
 */
export function createOutputSizes(factor: number): OutputSizes {
  const sizes = new Map<string, number>();
  let most = factor;
  return {
    learn(key, inputBytes, outputBytes) {
      if (sizes.size >= MOST_KEYS && !sizes.has(key)) sizes.delete(sizes.keys().next().value!);
      sizes.set(key, outputBytes);
      most = Math.max(most, outputBytes / inputBytes);
    },
    bytesPerRow: (key, inputBytes) => sizes.get(key) ?? most * inputBytes,
  };
}
