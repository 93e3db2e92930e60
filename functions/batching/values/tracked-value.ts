import { hasRows, ONE, ROW_COUNT, type Size, times } from './size.ts';

/**
 * The place of the rows of a run in a value. The size of `axis` is `outer` × the number of rows × `inner`: position `p` of it
 * belongs to row `floor(p / inner) % rows`. The entries of a row depend on that row's inputs and on constants alone. An axis of
 * rows alone has 1 as `outer` and `inner`.
 */
export interface RowAxis {
  readonly axis: number;
  readonly outer: Size;
  readonly inner: Size;
  /** The node that put more entries than one for each row along the axis. */
  readonly by?: { readonly operator: string; readonly node: string };
}

/**
 * Integers that may pick entries of a tensor: each is `stride` × the number of its row in the run + a number from 0 to `below`
 * (exclusive). Without a stride they do not depend on the row's number. With one they may be used to pick entries of that row
 * only: anything else that is computed from them depends on the place of the row in the run.
 */
export interface Numbering {
  readonly stride: Size | undefined;
  readonly below: Size;
}

/** What is known of a value of the graph in which rows do not influence each other. */
export interface Tracked {
  /** Undefined if the rank is not known. A size that is not known is a symbol. */
  readonly shape: readonly Size[] | undefined;
  /** Undefined for a value without rows, which is equal in all runs; or, with `counted`, in all runs of as many rows. */
  readonly rows: RowAxis | undefined;
  /** The elements of a small tensor of numbers without rows, row-major: shapes, axes, scales. Undefined if not known. */
  readonly elements: readonly (Size | undefined)[] | undefined;
  /** The value has no rows, and depends on how many rows the run has. */
  readonly counted: boolean;
  /** The text that pads the rows to the longest one of the run: the size of the last axis depends on the other rows. */
  readonly padding?: string;
  readonly numbering?: Numbering | undefined;
  /** The first entry along the last axis is the number of the row. */
  readonly leadsWithRow?: boolean;
  /** The value is a sequence, and this describes each of its elements. */
  readonly isSequence?: boolean;
}

/** Why a value is not followed further. */
export interface Lost {
  /** `mixed`: rows influence each other, or the value does not follow the rows. `unknown`: the graph does not decide it. */
  readonly lost: 'mixed' | 'unknown';
  /** The operator's type, with its domain unless that is ONNX's own. */
  readonly operator: string;
  /** The node's name, or that of its first output. */
  readonly node: string;
  /** A sentence without a full stop, for the operator of the service. */
  readonly reason: string;
}

/** What is known of any value of the graph. */
export type Value = Tracked | Lost;

/** Whether a value is not followed further. */
export const isLost = (value: Value): value is Lost => 'lost' in value;

/** Whether the elements of a row depend on its place in the run. */
export const isPositional = ({ leadsWithRow, numbering }: Tracked): boolean =>
  leadsWithRow === true || numbering?.stride !== undefined;

/** The most elements of a tensor of numbers that are followed: shapes, paddings and axes are far shorter. */
export const MAX_ELEMENTS = 256;

/** A value without rows. @param elements row-major; more than `MAX_ELEMENTS` are not followed */
export function constant(shape?: readonly Size[], elements?: readonly (Size | undefined)[]): Tracked {
  const followed = elements !== undefined && elements.length <= MAX_ELEMENTS ? elements : undefined;
  const counted = followed?.some((element) => element !== undefined && hasRows(element)) ?? false;
  return { shape, rows: undefined, elements: followed, counted };
}

/** A value without rows that depends on how many rows the run has, in a way that is not followed. */
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

/** Rows along `axis`; without `outer` and `inner`, the axis has one entry for each row. */
export function rowAxis(axis: number, outer: Size = ONE, inner: Size = ONE): RowAxis {
  return { axis, outer, inner };
}
