import type { DType } from '../../tensor/tensor.ts';

/** A JSON Schema of draft 2020-12, or any other part of the document. */
export type Json = { [key: string]: unknown };

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** Fields that must all be there, and no others. `optional` names those that may be missing. */
export function record(properties: Json, optional: readonly string[] = []): Json {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 && { required }), additionalProperties: false };
}

export const anyOf = (schemas: readonly Json[]): Json => (schemas.length === 1 ? schemas[0]! : { anyOf: schemas });

const NOT_FINITE = { enum: ['NaN', 'Infinity', '-Infinity'], description: 'What JSON has no number for.' };

const float = (description: string, format?: string): Json => ({
  description,
  anyOf: [{ type: 'number', ...(format !== undefined && { format }) }, NOT_FINITE],
});

const whole = (bits: number, signed: boolean): Json => ({
  type: 'integer',
  format: `${signed ? '' : 'u'}int${bits}`,
  minimum: signed ? -(2 ** (bits - 1)) : 0,
  maximum: 2 ** (signed ? bits - 1 : bits) - 1,
});

const DIGITS = 'Every digit counts: read it with a parser that keeps integers above 2^53.';

/** One value of each dtype, as `tensor/decode.ts` takes it and `tensor/encode.ts` gives it. */
export const ELEMENTS: Readonly<Record<DType, Json>> = {
  float16: float('A float16.'),
  float32: float('A float32.', 'float'),
  float64: float('A float64.', 'double'),
  int8: whole(8, true),
  int16: whole(16, true),
  int32: whole(32, true),
  // A JSON number that tools hold as a double: bounds of 64 bits would be rounded.
  int64: { type: 'integer', format: 'int64', description: DIGITS },
  uint8: whole(8, false),
  uint16: whole(16, false),
  uint32: whole(32, false),
  uint64: { type: 'integer', format: 'uint64', minimum: 0, description: DIGITS },
  bool: { type: 'boolean' },
  string: { type: 'string' },
};

/** Arrays of any depth, or a scalar. */
export const anyNested = (dtype: DType): Json => ({
  description: 'A scalar, or arrays of any depth.',
  anyOf: [ref(dtype), { type: 'array' }],
});

/** Arrays nested as `shape` says, with the length of each where it is fixed; a scalar for no dims. */
export function nested(dtype: DType, shape: readonly number[]): Json {
  const [length, ...inner] = shape;
  if (length === undefined) return ref(dtype);
  const bounds = length === -1 ? {} : { minItems: length, maxItems: length };
  return { type: 'array', items: nested(dtype, inner), ...bounds };
}
