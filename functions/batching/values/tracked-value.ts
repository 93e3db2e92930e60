import { hasRows, ONE, ROW_COUNT, type Size, times } from './size.ts';

/**
 * Where the rows of a run lie in a value. The size of `axis` is `outer` × the number of rows × `inner`: position `p` of it
 * belongs to row `floor(p / inner) % rows`. What belongs to a row depends on that row's inputs, on constants, and on
 * nothing else. An axis of rows alone has 1 as `outer` and `inner`.
 */
export interface RowAxis {
  readonly axis: number;
  readonly outer: Size;
  readonly inner: Size;
  /** The node that put other elements along the axis as well. */
  readonly by?: { readonly operator: string; readonly node: string };
}

/**
 * Whole numbers that may pick entries of a tensor: each is `stride` × the number of its row + a number from 0 to `below`
 * (exclusive). Without a stride they do not count rows. With one they are no row's own: they are good for picking its entries,
 * and anything else that is computed from them depends on the place of the row in the run.
 */
export interface Numbering {
  readonly stride: Size | undefined;
  readonly below: Size;
}

/** What is known of a value of the graph whose rows can be told apart. */
export interface Tracked {
  /** Undefined where the rank is not known. A size that is not known is a symbol. */
  readonly shape: readonly Size[] | undefined;
  /** Undefined for a value without rows: the same for every run, but for the number of rows where `counted`. */
  readonly rows: RowAxis | undefined;
  /** Row-major, of a small tensor of numbers without rows: shapes, axes, scales. An element that is not known is undefined. */
  readonly elements: readonly (Size | undefined)[] | undefined;
  /** The value without rows depends on how many rows the run has. */
  readonly counted: boolean;
  /** The text that fills the rows up to the longest one of the run: the size of the last axis depends on the other rows. */
  readonly padding?: string;
  readonly numbering?: Numbering | undefined;
  /** The first entry along the last axis is the number of the row. */
  readonly leadsWithRow?: boolean;
  /** A sequence of values of which each is so. */
  readonly isSequence?: boolean;
}

/** Why the rows of a value cannot be told apart. */
export interface Lost {
  /** `mixed`: rows influence each other, or the value does not follow the rows. `unknown`: the graph does not tell. */
  readonly lost: 'mixed' | 'unknown';
  /** The operator's type, with its domain unless that is ONNX's own. */
  readonly operator: string;
  /** The node's name, or that of its first output. */
  readonly node: string;
  /** A sentence without a full stop, for the operator of the service. */
  readonly reason: string;
}

export type Value = Tracked | Lost;

export const isLost = (value: Value): value is Lost => 'lost' in value;

/** The elements of a row depend on its place in the run. */
export const isPositional = ({ leadsWithRow, numbering }: Tracked): boolean =>
  leadsWithRow === true || numbering?.stride !== undefined;

/** The most elements of a tensor of numbers that are followed: shapes, paddings and axes are far shorter. */
export const MAX_ELEMENTS = 256;

export function constant(shape?: readonly Size[], elements?: readonly (Size | undefined)[]): Tracked {
  const followed = elements !== undefined && elements.length <= MAX_ELEMENTS ? elements : undefined;
  const counted = followed?.some((element) => element !== undefined && hasRows(element)) ?? false;
  return { shape, rows: undefined, elements: followed, counted };
}

/** A value without rows of which only this is known: it depends on how many rows the run has. */
export function countedConstant(shape?: readonly Size[]): Tracked {
  return { shape, rows: undefined, elements: undefined, counted: true };
}

/** A value with rows along `rows.axis`; the size of that axis follows from them. */
export function withRows(rows: RowAxis, shape?: readonly Size[]): Tracked {
  return {
    shape: shape?.map((size, axis) => (axis === rows.axis ? extentOf(rows) : size)),
    rows,
    elements: undefined,
    counted: false,
  };
}

/** The size of the axis that carries rows. */
export function extentOf({ outer, inner }: RowAxis): Size {
  return times(times(outer, ROW_COUNT), inner);
}

export function rowAxis(axis: number, outer: Size = ONE, inner: Size = ONE): RowAxis {
  return { axis, outer, inner };
}
