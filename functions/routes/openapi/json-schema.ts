import type { DType } from '../../tensor/tensor.ts';

/** A JSON Schema of draft 2020-12, or any other part of the document. */
export type Json = { [key: string]: unknown };

/** A reference to a schema by its name among the components. */
export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** An object with these members alone. @param optional names of members that may be missing. */
export function record(properties: Json, optional: readonly string[] = []): Json {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 && { required }), additionalProperties: false };
}

/** A value that matches one of the schemas at least. */
export const anyOf = (schemas: readonly Json[]): Json => (schemas.length === 1 ? schemas[0]! : { anyOf: schemas });

const NOT_FINITE = { enum: ['NaN', 'Infinity', '-Infinity'], description: 'Values for which JSON has no number.' };

const float = (description: string, format?: string): Json => ({
  description,
  anyOf: [{ type: 'number', ...(format !== undefined && { format }) }, NOT_FINITE],
});

const integer = (bits: number, signed: boolean): Json => ({
  type: 'integer',
  format: `${signed ? '' : 'u'}int${bits}`,
  minimum: signed ? -(2 ** (bits - 1)) : 0,
  maximum: 2 ** (signed ? bits - 1 : bits) - 1,
});

const DIGITS = 'Every digit counts: read it with a parser that keeps integers above 2^53.';

/** The schema of one element of each dtype, as `tensor/decode.ts` accepts it and `tensor/encode.ts` writes it. */
export const ELEMENTS: Readonly<Record<DType, Json>> = {
  float16: float('A float16.'),
  float32: float('A float32.', 'float'),
  float64: float('A float64.', 'double'),
  int8: integer(8, true),
  int16: integer(16, true),
  int32: integer(32, true),
  // A JSON number that tools hold as a double: bounds of 64 bits would be rounded.
  int64: { type: 'integer', format: 'int64', description: DIGITS },
  uint8: integer(8, false),
  uint16: integer(16, false),
  uint32: integer(32, false),
  uint64: { type: 'integer', format: 'uint64', minimum: 0, description: DIGITS },
  bool: { type: 'boolean' },
  string: { type: 'string' },
};

/** The schema of a tensor of any rank. */
export const anyNested = (dtype: DType): Json => ({
  description: 'A scalar, or arrays of any depth.',
  anyOf: [ref(dtype), { type: 'array' }],
});

/** The schema of arrays nested by `shape`, each with its length if that is fixed (not -1); of a scalar for an empty shape. */
export function nested(dtype: DType, shape: readonly number[]): Json {
  const [length, ...inner] = shape;
  if (length === undefined) return ref(dtype);
  const bounds = length === -1 ? {} : { minItems: length, maxItems: length };
  return { type: 'array', items: nested(dtype, inner), ...bounds };
}
