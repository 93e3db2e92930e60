/** The limits of a run. */
export interface BatchLimits {
  /** The most tokens of a run, padding included: rows times the longest of them. */
  readonly maxTokens: number;
  readonly maxRows: number;
}

/** Rows that share a run. */
export interface Batch {
  /** The indices of its rows, the longest first. */
  readonly rows: Int32Array;
  /** Tokens of its longest row: the length to which the others are padded. */
  readonly length: number;
}

/** The tokens of a row. */
export interface TokenRow {
  readonly ids: Int32Array;
  readonly typeIds: Uint8Array;
}

/** The inputs of a run: each `[rows, length]`. */
export interface PaddedBatch {
  readonly rows: number;
  readonly length: number;
  readonly ids: BigInt64Array<ArrayBuffer>;
  readonly mask: BigInt64Array<ArrayBuffer>;
  readonly typeIds: BigInt64Array<ArrayBuffer>;
}

/**
 * Distributes rows over runs: sorted by length, so that rows of similar length share a run and little is padded. A row that alone
 * has more than `maxTokens` tokens gets a run of its own. Takes `n log n` time.
 * @param lengths tokens of each row
 */
export function planBatches(lengths: readonly number[], { maxTokens, maxRows }: BatchLimits): Batch[] {
  const order = Int32Array.from(lengths.keys()).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const batches: Batch[] = [];
  for (let from = 0; from < order.length; ) {
    const length = lengths[order[from]!]!;
    const count = Math.max(1, Math.min(maxRows, Math.floor(maxTokens / length), order.length - from));
    batches.push({ rows: order.slice(from, from + count), length });
    from += count;
  }
  return batches;
}

/**
 * The inputs of a run: ids filled with `padId`, a mask of 1 for tokens and 0 for padding, and type ids filled with 0.
 * @param side where the padding is: `right` unless the export says otherwise
 */
export function padBatch(
  { rows, length }: Batch,
  tokens: readonly TokenRow[],
  padId: number,
  side: 'right' | 'left' = 'right',
): PaddedBatch {
  const ids = new BigInt64Array(rows.length * length).fill(BigInt(padId));
  const mask = new BigInt64Array(rows.length * length);
  const typeIds = new BigInt64Array(rows.length * length);
  for (const [i, index] of rows.entries()) {
    const row = tokens[index]!;
    const from = i * length + (side === 'left' ? length - row.ids.length : 0);
    for (let t = 0; t < row.ids.length; t++) {
      ids[from + t] = BigInt(row.ids[t]!);
      typeIds[from + t] = BigInt(row.typeIds[t]!);
    }
    mask.fill(1n, from, from + row.ids.length);
  }
  return { rows: rows.length, length, ids, mask, typeIds };
}

/**
 * Puts the results of runs into the order of the rows.
 * @param results for each batch, the results of its rows in its own order
 */
export function restoreOrder<T>(batches: readonly Batch[], results: readonly (readonly T[])[]): T[] {
  const ordered: T[] = new Array(batches.reduce((sum, { rows }) => sum + rows.length, 0));
  for (const [i, { rows }] of batches.entries()) {
    for (const [j, index] of rows.entries()) ordered[index] = results[i]![j]!;
  }
  return ordered;
}
