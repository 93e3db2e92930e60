import { DATA_TYPES } from './data-type.ts';
import { type Bytes, deeper, type Field, fields, int64, textOf } from './wire.ts';

/** A value at a graph's edge. */
export interface Value {
  readonly name: string;
  /** As people read it: `tensor(float)`, `sequence of map(int64, float)`; undefined where the file leaves it open. */
  readonly type: string | undefined;
  readonly isTensor: boolean;
}

/** The numbers of TypeProto's cases: `oneof value` of onnx.proto. */
const TENSOR = 1;
const SEQUENCE = 4;
const MAP = 5;
const OPAQUE = 7;
const SPARSE_TENSOR = 8;
const OPTIONAL = 9;

/** The specification's names, where they are not those of this project. */
const SPEC_NAMES: Readonly<Record<string, string>> = { float32: 'float', float64: 'double' };
const ELEMENTS = new Map(Object.entries(DATA_TYPES).map(([name, number]) => [number, SPEC_NAMES[name] ?? name]));

/** Reads a ValueInfoProto. @throws WireError */
export function readValue(bytes: Bytes, info: Field): Value {
  const type = lastOf(bytes, info, 2);
  const known = type && caseOf(bytes, type);
  return {
    name: textOf(bytes, info, 1),
    type: known && typeText(bytes, type, 0),
    isTensor: known?.number === TENSOR,
  };
}

function typeText(bytes: Bytes, type: Field, depth: number): string {
  const held = caseOf(bytes, type);
  const inner = (number: number): string => {
    const field = held && lastOf(bytes, held, number);
    return field === undefined ? 'unknown' : typeText(bytes, field, deeper(depth));
  };
  switch (held?.number) {
    case TENSOR:
      return `tensor(${elementText(bytes, held)})`;
    case SPARSE_TENSOR:
      return `sparse tensor(${elementText(bytes, held)})`;
    case SEQUENCE:
      return `sequence of ${inner(1)}`;
    case MAP:
      // A map's values are mostly scalars, and are called by their element type.
      return `map(${elementText(bytes, held)}, ${inner(2).replace(/^tensor\((\w+)\)$/, '$1')})`;
    case OPTIONAL:
      return `optional ${inner(1)}`;
    case OPAQUE:
      return 'opaque';
    default:
      return 'unknown';
  }
}

/** The element type of a tensor, the key type of a map: field 1 of both. */
function elementText(bytes: Bytes, held: Field): string {
  const field = lastOf(bytes, held, 1);
  return (field?.wire === 0 ? ELEMENTS.get(Number(int64(bytes, field)) as 1) : undefined) ?? 'unknown';
}

const CASES: readonly number[] = [TENSOR, SEQUENCE, MAP, OPAQUE, SPARSE_TENSOR, OPTIONAL];

/** The case that a TypeProto holds: the last one, as protobuf reads a oneof. */
function caseOf(bytes: Bytes, type: Field): Field | undefined {
  let found: Field | undefined;
  for (const field of fields(bytes, type.from, type.to)) {
    if (CASES.includes(field.number) && field.wire === 2) found = field;
  }
  return found;
}

function lastOf(bytes: Bytes, { from, to }: Field, number: number): Field | undefined {
  let found: Field | undefined;
  for (const field of fields(bytes, from, to)) if (field.number === number) found = field;
  return found;
}
