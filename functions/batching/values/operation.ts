import type { Attributes } from '../../onnx/graph.ts';
import { hasRows, numberOf, type Size, symbol } from './size.ts';
import {
  constant,
  countedConstant,
  type Lost,
  type RowAxis,
  type Tracked,
  type Value,
  withRows,
} from './tracked-value.ts';

/** One node, as the rule for its operator sees it. */
export interface Operation {
  /** The operator's type, with its domain unless that is ONNX's own: `MatMul`, `com.microsoft.Attention`. */
  readonly type: string;
  /** The node's name, or that of its first output. */
  readonly node: string;
  /** Unlike that of any other node, and of the same node in another call or round. */
  readonly id: string;
  /** The version of the operator set that the operator is of. */
  readonly opset: number;
  /** Undefined for an optional input left out. */
  readonly inputs: readonly (Tracked | undefined)[];
  /** How many outputs the node names. */
  readonly outputs: number;
  readonly attributes: Attributes;
}

/** What a rule says: a value for each output in their order, or one that stands for all of them. */
export type Result = Value | readonly Value[];

/** How an operator treats rows: from what is known of its inputs, what is known of its outputs. */
export interface Rule {
  /**
   * Inputs that may depend on the number of rows: shapes, repeats, ends of slices. Any other that does makes the outputs
   * of a node depend on it, and so on the other rows of the run.
   */
  readonly sizes?: readonly number[] | 'all';
  /** Takes a value whose last axis is padded to the longest row of the run. */
  readonly padded?: boolean;
  /** Moves the elements of its first input about, and leaves each as it is: numbers of rows stay those. */
  readonly keepsNumbers?: boolean;
  /** Sees to numbers of rows among its inputs itself: that they are used for nothing but picking entries of their row. */
  readonly takesNumbers?: boolean;
  /** Reads the sizes of its inputs and not their values: its result is the same for every row. */
  readonly readsSizesOnly?: boolean;
  /** Takes sequences. */
  readonly takesSequences?: boolean;
  apply(operation: Operation): Result;
}

export type Rules = Readonly<Record<string, Rule>>;

/** The outputs of this node make rows influence each other, or do not follow them. @param reason what it does */
export function mixed({ type, node }: Operation, reason: string): Lost {
  return { lost: 'mixed', operator: type, node, reason };
}

/** It cannot be told whether the node keeps rows apart. */
export function unknown({ type, node }: Operation, reason: string): Lost {
  return { lost: 'unknown', operator: type, node, reason };
}

export const DEPENDS_ON_PLACE = 'its result depends on the place of the row in the run';
export const RANK_UNKNOWN = 'the rank of an input is not known';
export const DEPENDS_ON_COUNT = 'its result depends on how many rows the run has';

export type WithRows = Tracked & { readonly rows: RowAxis };
export const carriesRows = (input: Tracked | undefined): input is WithRows => input?.rows !== undefined;
export const isConstant = (input: Tracked | undefined): boolean => input?.rows === undefined;
export const allConstant = ({ inputs }: Operation): boolean => inputs.every(isConstant);

/** An axis as operators count it, -1 being the last, from 0 on. Undefined where the rank would be needed and is not known. */
export function axisOf(axis: number, rank: number | undefined): number | undefined {
  if (axis >= 0) return axis;
  return rank === undefined ? undefined : axis + rank;
}

/** The elements of an input as plain numbers; undefined where one is not known. */
export function numbersOf(input: Tracked | undefined): number[] | undefined {
  const numbers = input?.elements?.map(numberOf);
  return numbers?.every((value) => value !== undefined) ? numbers : undefined;
}

/** Numbers that older operator sets have as an attribute, newer ones as an input. Undefined: left out. */
export function numbersFrom(operation: Operation, input: number, attribute: string): number[] | undefined | 'unknown' {
  const given = operation.inputs[input];
  if (given !== undefined) return numbersOf(given) ?? 'unknown';
  const numbers = operation.attributes.ints(attribute);
  return numbers === undefined ? undefined : [...numbers];
}

/** What comes of constants alone, where only the shape of it is known. */
export function ofConstants({ inputs }: Operation, shape?: readonly Size[]): Tracked {
  return inputs.some((input) => input?.counted) ? countedConstant(shape) : constant(shape);
}

/** What comes of constants alone. @param elements undefined where they are not followed */
export function ofElements(
  operation: Operation,
  shape: readonly Size[] | undefined,
  elements: readonly (Size | undefined)[] | undefined,
): Tracked {
  if (elements === undefined) return ofConstants(operation, shape);
  const value = constant(shape, elements);
  const isComplete = elements.every((element) => element !== undefined);
  const counted = elements.some((element) => element !== undefined && hasRows(element));
  return { ...value, counted: counted || (!isComplete && ofConstants(operation).counted) };
}

/** A value whose rows and shape are those of an input, and of which nothing else is known. */
export function kept({ rows, shape }: WithRows): Tracked {
  return withRows(rows, shape);
}

/** The same rows along another axis, in a value of another shape. */
export function moved(rows: RowAxis, axis: number, shape?: readonly Size[]): Tracked {
  return withRows({ ...rows, axis }, shape);
}

/** A size that a node gives, of which only this is known: it is the same in every request of a run. */
export const newSize = ({ id }: Operation, what: string | number): Size => symbol(`${id}:${what}`);

/** Numbers that depend on how many rows the run has, in a way that is not followed. */
export const isUnclear = (input: Tracked | undefined): boolean =>
  input?.counted === true && (input.elements?.includes(undefined) ?? true);
