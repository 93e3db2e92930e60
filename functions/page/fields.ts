import { toJson } from './json.ts';

export interface Spec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly anyRank?: true;
}

/** `x-model` of `/openapi.json`. */
export interface ModelInfo {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  readonly features?: readonly string[];
  readonly output?: string;
  readonly classes?: readonly string[];
  /** Left out where a row is too large to be shown. */
  readonly example?: { readonly features: unknown };
}

/** One value of the form: a number, a text, a yes or no, or the JSON of a whole input. */
export interface Field {
  readonly label: string;
  readonly kind: 'number' | 'bool' | 'text' | 'json';
  readonly dtype: string;
  /** Where the server says it is, when something is wrong with it. */
  readonly path: string;
}

/** The fields of one input. */
export interface Group {
  readonly spec: Spec;
  /** Of a row; of the whole input where its first dimension is no batch. */
  readonly shape: readonly number[];
  readonly fields: readonly Field[];
}

/** More values than this are easier pasted than typed. */
const MAX_FIELDS = 32;

export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);
export const isFixed = (shape: readonly number[]): boolean => !shape.includes(-1);

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

/** The JSON of a value as it was typed, or undefined where it is none of the dtype. */
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

/** A flat list of JSON texts, nested as the shape says. */
export function nest(tokens: readonly string[], shape: readonly number[]): string {
  if (shape.length === 0) return tokens[0] ?? 'null';
  const inner = shape.slice(1);
  const width = sizeOf(inner);
  const count = shape[0] === -1 ? tokens.length / width : shape[0]!;
  return `[${Array.from({ length: count }, (_, i) => nest(tokens.slice(i * width, (i + 1) * width), inner)).join(',')}]`;
}

/** The `features` of a row as JSON, from that of each input in turn. */
export function joinInputs(inputs: readonly Spec[], texts: readonly string[]): string {
  if (inputs.length === 1) return texts[0]!;
  return `{${inputs.map(({ name }, i) => `${JSON.stringify(name)}:${texts[i]}`).join(',')}}`;
}

/** The text of each field of each group, from the `features` of a body. */
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
