import {
  type Category,
  inputsOf,
  isFixed,
  type ModelInfo,
  rowShapeOf,
  type Spec,
  shapeText,
  sizeOf,
} from '../model.ts';

/** A field of the form: a number, a text, a boolean, a choice, or an entire input. */
export interface Field {
  readonly label: string;
  readonly kind: 'number' | 'bool' | 'text' | 'category' | 'tensor';
  readonly spec: Spec;
  /** The path of its value in the server's errors. */
  readonly path: string;
  /** The choices of a drop-down. */
  readonly categories?: readonly Category[];
}

/** The fields of one input. */
export interface Group {
  readonly spec: Spec;
  /** The shape of a row; of the entire input if its first dimension is not the batch; `[]` for a column among several inputs. */
  readonly shape: readonly number[];
  readonly fields: readonly Field[];
}

/** Most values of an input that has a field for each: more are easier to paste as JSON, unless they have names. */
const MAX_FIELDS = 32;
const MAX_NAMED_FIELDS = 256;

/** The fields of a model's inputs: one for each value of a short vector, else one for the input as JSON or a file. */
export function planFields({
  inputs,
  features,
  categories = {},
}: Pick<ModelInfo, 'inputs' | 'features' | 'categories'>): Group[] {
  return inputs.map((spec) => {
    const { name, dtype } = spec;
    const shape = inputs.length > 1 && isColumn(spec) ? [] : rowShapeOf(spec);
    const base = inputs.length === 1 ? 'features' : member('features', name);
    const size = sizeOf(shape);
    const own = inputs.length === 1 ? features : undefined;
    const most = own === undefined ? MAX_FIELDS : MAX_NAMED_FIELDS;
    if (spec.anyRank || shape.length > 1 || !isFixed(shape) || size > most)
      return { spec, shape, fields: [{ label: name, kind: 'tensor', spec, path: base }] };
    const kind = dtype === 'bool' ? 'bool' : dtype === 'string' ? 'text' : 'number';
    const fields = Array.from({ length: size }, (_, i): Field => {
      const label = own?.[i] ?? (size === 1 ? name : `${name}[${i}]`);
      const choices = Object.hasOwn(categories, label) ? categories[label] : lookUp(categories, name);
      const path = shape.length === 0 ? base : `${base}[${i}]`;
      return choices === undefined
        ? { label, kind, spec, path }
        : { label, kind: 'category', spec, path, categories: choices };
    });
    return { spec, shape, fields };
  });
}

/** Whether an input is a column of a table, [batch, 1]: the server takes the value of a row without brackets. */
const isColumn = ({ shape }: Spec): boolean => shape.length === 2 && shape[1] === 1 && Math.abs(shape[0]!) === 1;

const lookUp = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

const member = (path: string, name: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;

/** Whether a place in the input is a field's, or within it. */
export const isAt = (path: string, base: string): boolean =>
  path === base || (path.startsWith(base) && /^[.[]/.test(path.slice(base.length)));

/** The server's text with a field's name in the place of its path. */
export const inWords = (text: string, { path, label }: Pick<Field, 'path' | 'label'>): string =>
  text.startsWith(path) ? label + text.slice(path.length) : text;

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const NOT_FINITE: Record<string, string> = { nan: 'NaN', inf: 'Infinity', infinity: 'Infinity' };

/** The JSON of a typed value; undefined if it is not a value of the dtype. An empty number is a missing value, which floats have: NaN. */
export function tokenOf(dtype: string, typed: string): string | undefined {
  if (dtype === 'string') return JSON.stringify(typed);
  const text = typed.trim();
  if (dtype === 'bool') return /^(true|1)$/i.test(text) ? 'true' : /^(false|0)$/i.test(text) ? 'false' : undefined;
  const isFloat = dtype.startsWith('float');
  if (text === '') return isFloat ? '"NaN"' : undefined;
  if (NUMBER.test(text)) return text;
  const special = NOT_FINITE[text.toLowerCase().replace(/^[+-]/, '')];
  if (special !== undefined) {
    if (!isFloat) return undefined;
    return `"${text.startsWith('-') && special !== 'NaN' ? '-' : ''}${special}"`;
  }
  const bare = text.replace(/^\+/, '');
  if (/^-?\d+$/.test(bare)) return bare.replace(/^(-?)0+(?=\d)/, '$1');
  const number = Number(text);
  return Number.isFinite(number) ? String(number) : undefined;
}

/** Why a typed value is not one of the dtype, and what to give instead. */
export function reasonFor(dtype: string, typed: string): string {
  if (dtype === 'bool') return 'give true or false';
  const what = dtype.startsWith('float') ? 'a number, such as 0.5' : `an integer (${dtype})`;
  return typed.trim() === '' ? `it is empty, and ${dtype} has no missing value: give ${what}` : `give ${what}`;
}

/** Nests a flat list of JSON texts by a shape. */
export function nest(tokens: readonly string[], shape: readonly number[]): string {
  if (shape.length === 0) return tokens[0] ?? 'null';
  const inner = shape.slice(1);
  const width = sizeOf(inner);
  const count = shape[0] === -1 ? tokens.length / width : shape[0]!;
  return `[${Array.from({ length: count }, (_, i) => nest(tokens.slice(i * width, (i + 1) * width), inner)).join(',')}]`;
}

/** The `features` of a row as JSON. @param texts the JSON of each input, in their order. */
export function joinInputs(inputs: readonly Spec[], texts: readonly string[]): string {
  if (inputs.length === 1) return texts[0]!;
  return `{${inputs.map(({ name }, i) => `${JSON.stringify(name)}:${texts[i]}`).join(',')}}`;
}

/** The value of each field of each group; undefined for one that is not given. @param given the `features` of a body. */
export function valuesOf(model: ModelInfo, groups: readonly Group[], given: unknown): unknown[][] {
  const values = inputsOf(model, given);
  return groups.map(({ fields }, i) => {
    if (fields[0]?.kind === 'tensor') return [values[i]];
    // A whole tensor, with its batch dimension, may be the example of a row.
    const flat = [values[i] ?? []].flat(Number.POSITIVE_INFINITY);
    return fields.map((_, j) => flat[j]);
  });
}

/** What a field takes, for people. */
export const hintOf = ({ kind, spec }: Field): string =>
  kind === 'tensor' ? `${spec.dtype} ${spec.anyRank ? 'of any shape' : shapeText(rowShapeOf(spec))}` : spec.dtype;
