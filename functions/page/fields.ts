import { toJson } from './json.ts';

/** An input or output of the model; -1 in `shape` is a dimension of any length. */
export interface Spec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly anyRank?: true;
}

/** The model, as `x-model` of `/openapi.json` describes it. */
export interface ModelInfo {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  readonly features?: readonly string[];
  readonly output?: string;
  readonly classes?: readonly string[];
  /** Undefined if a row is too large to be shown. */
  readonly example?: { readonly features: unknown };
}

/** A field of the form: a number, a text, a boolean, or the JSON of an entire input. */
export interface Field {
  readonly label: string;
  readonly kind: 'number' | 'bool' | 'text' | 'json';
  readonly dtype: string;
  /** The path of its value in the server's errors. */
  readonly path: string;
}

/** The fields of one input. */
export interface Group {
  readonly spec: Spec;
  /** The shape of a row; of the entire input if its first dimension is not the batch. */
  readonly shape: readonly number[];
  readonly fields: readonly Field[];
}

/** Most values of an input that has a field for each: more are easier to paste as JSON. */
const MAX_FIELDS = 32;

/** The number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);
/** Whether all dimensions of a shape have a fixed length. */
export const isFixed = (shape: readonly number[]): boolean => !shape.includes(-1);

/** The fields of a model's inputs: one for each value of a short vector, else one for the input as JSON. */
export function planFields({ inputs, features }: Pick<ModelInfo, 'inputs' | 'features'>): Group[] {
  return inputs.map((spec) => {
    const { name, dtype } = spec;
    const shape = spec.shape[0] === -1 || spec.shape[0] === 1 ? spec.shape.slice(1) : spec.shape;
    const base = inputs.length === 1 ? 'features' : member('features', name);
    const size = sizeOf(shape);
    if (spec.anyRank || shape.length > 1 || !isFixed(shape) || size > MAX_FIELDS)
      return { spec, shape, fields: [{ label: name, kind: 'json', dtype, path: base }] };
    const kind = dtype === 'bool' ? 'bool' : dtype === 'string' ? 'text' : 'number';
    const fields = Array.from({ length: size }, (_, i): Field => {
      const own = inputs.length === 1 ? features?.[i] : undefined;
      const label = own ?? (size === 1 ? name : `${name}[${i}]`);
      return { label, kind, dtype, path: shape.length === 0 ? base : `${base}[${i}]` };
    });
    return { spec, shape, fields };
  });
}

const member = (path: string, name: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const NOT_FINITE: Record<string, string> = { nan: 'NaN', inf: 'Infinity', infinity: 'Infinity' };

/** The JSON of a typed value; undefined if it is not a value of the dtype. */
export function tokenOf(dtype: string, typed: string): string | undefined {
  if (dtype === 'string') return JSON.stringify(typed);
  const text = typed.trim();
  if (dtype === 'bool') return /^(true|1)$/i.test(text) ? 'true' : /^(false|0)$/i.test(text) ? 'false' : undefined;
  if (NUMBER.test(text)) return text;
  const special = NOT_FINITE[text.toLowerCase().replace(/^[+-]/, '')];
  if (special !== undefined) {
    if (!dtype.startsWith('float')) return undefined;
    return `"${text.startsWith('-') && special !== 'NaN' ? '-' : ''}${special}"`;
  }
  const bare = text.replace(/^\+/, '');
  if (/^-?\d+$/.test(bare)) return bare.replace(/^(-?)0+(?=\d)/, '$1');
  const number = Number(text);
  return text === '' || !Number.isFinite(number) ? undefined : String(number);
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

/** The text of each field of each group. @param given the `features` of a body. */
export function textsOf({ inputs, features }: ModelInfo, groups: readonly Group[], given: unknown): string[][] {
  const object = isObject(given) ? given : undefined;
  return groups.map(({ spec, fields }) => {
    let value: unknown = given;
    if (object !== undefined) {
      const byFeature = inputs.length === 1 && features !== undefined && !Object.hasOwn(object, spec.name);
      value = byFeature ? features.map((name) => object[name]) : object[spec.name];
    }
    if (fields[0]?.kind === 'json') return [value === undefined ? '' : toJson(value)];
    // A whole tensor, with its batch dimension, may be the example of a row.
    const flat = [value ?? []].flat(Number.POSITIVE_INFINITY);
    return fields.map((_, i) => textOf(flat[i]));
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string => (value === undefined || value === null ? '' : String(value));
