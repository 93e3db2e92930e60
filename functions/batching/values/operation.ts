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

/** One node, with what is known of its inputs: the argument of a rule. */
export interface Operation {
  /** The operator's type, with its domain unless that is ONNX's own: `MatMul`, `com.microsoft.Attention`. */
  readonly type: string;
  /** The node's name, or that of its first output. */
  readonly node: string;
  /** Unique for each node, and for each call or round of the same node. */
  readonly id: string;
  /** The version of the operator's operator set. */
  readonly opset: number;
  /** Undefined for an omitted optional input. */
  readonly inputs: readonly (Tracked | undefined)[];
  /** How many outputs the node names. */
  readonly outputs: number;
  readonly attributes: Attributes;
}

/** The result of a rule: a value for each output in their order, or one value for all of them. */
export type Result = Value | readonly Value[];

/** How an operator treats rows: computes what is known of its outputs from what is known of its inputs. */
export interface Rule {
  /**
   * The indices of the inputs that may depend on the number of rows: shapes, repeats, ends of slices. Any other input that does
   * makes the outputs depend on it, and so on the other rows of the run.
   */
  readonly sizes?: readonly number[] | 'all';
  /** The rule accepts a value whose last axis is padded to the longest row of the run. */
  readonly padded?: boolean;
  /** The operator rearranges the elements of its first input without changing them: the numbering of the result is the same. */
  readonly keepsNumbers?: boolean;
  /** The rule itself checks that numbers of rows among its inputs are used only to pick entries of their own row. */
  readonly takesNumbers?: boolean;
  /** The operator reads the sizes of its inputs and not their values: its result is the same for every row. */
  readonly readsSizesOnly?: boolean;
  /** The rule accepts sequences. */
  readonly takesSequences?: boolean;
  /** Called only if no input is {@link Lost}. */
  apply(operation: Operation): Result;
}

/** Rules by the type of the operator, with its domain unless that is ONNX's own. */
export type Rules = Readonly<Record<string, Rule>>;

/** The result for a node that makes rows influence each other, or whose outputs do not follow them. @param reason what it does */
export function mixed({ type, node }: Operation, reason: string): Lost {
  return { lost: 'mixed', operator: type, node, reason };
}

/** The result for a node of which it is not known whether rows influence each other. @param reason what is not known */
export function unknown({ type, node }: Operation, reason: string): Lost {
  return { lost: 'unknown', operator: type, node, reason };
}

/** The reason of a rule whose result would differ with the row's place. */
export const DEPENDS_ON_PLACE = 'its result depends on the place of the row in the run';
/** The reason of a rule that needs the rank. */
export const RANK_UNKNOWN = 'the rank of an input is not known';
/** The reason of a rule whose result would differ with the number of rows. */
export const DEPENDS_ON_COUNT = 'its result depends on how many rows the run has';

/** A value with rows. */
export type WithRows = Tracked & { readonly rows: RowAxis };
/** Whether an input is present and has rows. */
export const carriesRows = (input: Tracked | undefined): input is WithRows => input?.rows !== undefined;
/** Whether an input has no rows; also true for an omitted one. */
export const isConstant = (input: Tracked | undefined): boolean => input?.rows === undefined;

/** An axis counted from 0 on; operators count negative ones from the last. Undefined if that needs the rank, which is not known. */
export function axisOf(axis: number, rank: number | undefined): number | undefined {
  if (axis >= 0) return axis;
  return rank === undefined ? undefined : axis + rank;
}

/** The elements of an input as numbers, row-major; undefined if one of them is not known. */
export function numbersOf(input: Tracked | undefined): number[] | undefined {
  const numbers = input?.elements?.map(numberOf);
  return numbers?.every((value) => value !== undefined) ? numbers : undefined;
}

/** Numbers that older operator sets have as an attribute and newer ones as an input. Undefined if the node has neither. */
export function numbersFrom(operation: Operation, input: number, attribute: string): number[] | undefined | 'unknown' {
  const given = operation.inputs[input];
  if (given !== undefined) return numbersOf(given) ?? 'unknown';
  const numbers = operation.attributes.ints(attribute);
  return numbers === undefined ? undefined : [...numbers];
}

/** The result of an operator whose inputs are all constants, if only its shape is known. */
export function ofConstants({ inputs }: Operation, shape?: readonly Size[]): Tracked {
  return inputs.some((input) => input?.counted) ? countedConstant(shape) : constant(shape);
}

/** The result of an operator whose inputs are all constants. @param elements row-major; undefined if they are not followed */
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

/** A value with the rows and the shape of an input, of which nothing else is known. */
export function sameRows({ rows, shape }: WithRows): Tracked {
  return withRows(rows, shape);
}

/** The same rows along another axis, in a value of another shape. */
export function moved(rows: RowAxis, axis: number, shape?: readonly Size[]): Tracked {
  return withRows({ ...rows, axis }, shape);
}

/** A size that a node gives, of which only this is known: it is equal for all requests of a run. @param what unique in the node */
export const newSize = ({ id }: Operation, what: string | number): Size => symbol(`${id}:${what}`);

/** Whether numbers depend on how many rows the run has, in a way that is not followed. */
export const isUnclear = (input: Tracked | undefined): boolean =>
  input?.counted === true && (input.elements?.includes(undefined) ?? true);
