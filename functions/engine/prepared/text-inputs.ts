import type { TensorSpec } from '../../tensor/tensor.ts';
import type { SlottedTensor } from '../process/frame.ts';

/** The rows of a run: `ids` and `types` are `[rows, width]`, filled with zeros. */
export interface TokenRows {
  readonly ids: Int32Array;
  readonly types: Uint8Array;
  readonly rows: number;
  readonly width: number;
  /** Tokens of each row. */
  readonly lengths: readonly number[];
}

/** How a run is made of rows. */
export interface InputOptions {
  /** The id of the padding. */
  readonly padId: number;
  /** See `firstPosition`. */
  readonly firstPosition: number;
}

/** A value for each of the row's tokens and of its padding. */
type Fill = (rows: TokenRows, length: number, options: InputOptions) => Int32Array;

/**
 * The inputs that exports have, by name. Padding is on the right: a row then has the outputs that it has alone, whatever side the export
 * says, because a padded token is masked and no token before it moves.
 */
const FILLS: Readonly<Record<string, Fill>> = {
  input_ids: (rows, length, { padId }) =>
    fill(rows, length, padId, (row, token) => rows.ids[row * rows.width + token]!),
  attention_mask: (rows, length) => fill(rows, length, 0, () => 1),
  token_type_ids: (rows, length) => fill(rows, length, 0, (row, token) => rows.types[row * rows.width + token]!),
  position_ids: (rows, length, { firstPosition }) => fill(rows, length, 0, (_, token) => firstPosition + token),
};

function fill(
  { rows, lengths }: TokenRows,
  length: number,
  padding: number,
  tokenValue: (row: number, token: number) => number,
): Int32Array {
  const values = new Int32Array(rows * length).fill(padding);
  for (let row = 0; row < rows; row++) {
    for (let token = 0; token < lengths[row]!; token++) values[row * length + token] = tokenValue(row, token);
  }
  return values;
}

/** The inputs of a model of texts. */
export interface TextInputs {
  /** 1 if a run has one row only: the export has this batch size, or no input for the mask. Otherwise -1. */
  readonly batch: 1 | -1;
  /** The tokens to which every row is padded, by the export; -1: any number. */
  readonly length: number;
  /** @param length of the padded rows, at least that of the longest */
  make(rows: TokenRows, length: number, options: InputOptions): SlottedTensor[];
}

/**
 * Reads which inputs a model takes.
 * @throws Error that names an input which is missing, is not known, or is of another dtype or shape
 */
export function readTextInputs(specs: readonly TensorSpec[]): TextInputs {
  const has = (name: string): boolean => specs.some((spec) => spec.name === name);
  const known = Object.keys(FILLS).join(', ');
  if (!has('input_ids')) {
    const given = specs.map(({ name }) => name).join(', ');
    throw new Error(
      `a model of texts has an input input_ids, and this one has ${given || 'no inputs'}: export it again`,
    );
  }
  for (const spec of specs) {
    const { name, dtype, shape } = spec;
    if (!Object.hasOwn(FILLS, name)) {
      throw new Error(`input ${name}: a model of texts has the inputs ${known}: export it without this one`);
    }
    if (dtype !== 'int64' && dtype !== 'int32') throw new Error(`input ${name} is ${dtype}: expected int64 or int32`);
    if (spec.anyRank !== true && shape.length !== 2) {
      throw new Error(`input ${name} has the shape [${shape}]: expected two dimensions, texts and tokens`);
    }
  }
  const batch = fixedDim(specs, 0);
  if (batch > 1)
    throw new Error(`input input_ids takes ${batch} texts in each run: export it for any number, or for 1`);
  return {
    batch: batch === 1 || !has('attention_mask') ? 1 : -1,
    length: fixedDim(specs, 1),
    make: (rows, length, options) =>
      specs.map(({ name, dtype }, slot) => {
        const values = FILLS[name]!(rows, length, options);
        const dims = [rows.rows, length];
        return dtype === 'int64' ? { slot, dtype, dims, data: widen(values) } : { slot, dtype, dims, data: values };
      }),
  };
}

/** The size of a dimension that an input fixes; -1 if none does. */
function fixedDim(specs: readonly TensorSpec[], dim: 0 | 1): number {
  return specs.reduce((size, { shape }) => Math.max(size, shape[dim] ?? -1), -1);
}

/** Values of 0 and more as int64. A BigInt for each would take ten times as long. */
function widen(values: Int32Array): BigInt64Array {
  const wide = new BigInt64Array(values.length);
  const halves = new Int32Array(wide.buffer);
  for (let i = 0; i < values.length; i++) halves[2 * i] = values[i]!;
  return wide;
}
