import { DATA_TYPES, type DataTypeName } from './data-type.ts';
import { type Bytes, deeper, type Field, fields, int64, textOf } from './wire.ts';

/** An input or output of a graph. */
export interface Value {
  readonly name: string;
  /** In the form of error messages: `tensor(float)`, `sequence of map(int64, float)`; undefined if the file leaves it open. */
  readonly type: string | undefined;
  readonly isTensor: boolean;
  /** The element type of a tensor; undefined if the file leaves it open, and for a value that is not a tensor. */
  readonly element: DataTypeName | undefined;
  /** Whether the file gives a tensor's rank. A shape without dimensions is rank 0; without a shape, the rank is open. */
  readonly hasShape: boolean;
}

/** The numbers of TypeProto's cases: `oneof value` of onnx.proto. */
const TENSOR = 1;
const SEQUENCE = 4;
const MAP = 5;
const OPAQUE = 7;
const SPARSE_TENSOR = 8;
const OPTIONAL = 9;

/** The specification's names that differ from those of this project. */
const SPEC_NAMES: Readonly<Record<string, string>> = { float32: 'float', float64: 'double' };
const ELEMENTS = new Map(Object.entries(DATA_TYPES).map(([name, number]) => [number, name as DataTypeName]));

/** Reads a ValueInfoProto. @throws WireError */
export function readValue(bytes: Bytes, info: Field): Value {
  const type = lastOf(bytes, info, 2);
  const known = type && caseOf(bytes, type);
  const tensor = known?.number === TENSOR ? known : undefined;
  return {
    name: textOf(bytes, info, 1),
    type: known && typeText(bytes, type, 0),
    isTensor: tensor !== undefined,
    element: tensor && elementOf(bytes, tensor),
    hasShape: tensor !== undefined && lastOf(bytes, tensor, 2) !== undefined,
  };
}

/** The name of a tensor type in the specification: `tensor(double)` for float64. */
export function tensorText(element: DataTypeName): string {
  return `tensor(${specName(element)})`;
}

/** The element type of the scores of a ZipMap's output, `sequence of map(label, scores)`. @param info its ValueInfoProto */
export function mapElement(bytes: Bytes, info: Field): DataTypeName | undefined {
  let inner: Field | undefined = lastOf(bytes, info, 2);
  for (const [kind, content] of [
    [SEQUENCE, 1],
    [MAP, 2],
  ] as const) {
    const found: Field | undefined = inner && caseOf(bytes, inner);
    inner = found?.number === kind ? lastOf(bytes, found, content) : undefined;
  }
  const tensor = inner && caseOf(bytes, inner);
  return tensor?.number === TENSOR ? elementOf(bytes, tensor) : undefined;
}

function typeText(bytes: Bytes, type: Field, depth: number): string {
  const found = caseOf(bytes, type);
  const inner = (number: number): string => {
    const field = found && lastOf(bytes, found, number);
    return field === undefined ? 'unknown' : typeText(bytes, field, deeper(depth));
  };
  switch (found?.number) {
    case TENSOR:
      return `tensor(${elementText(bytes, found)})`;
    case SPARSE_TENSOR:
      return `sparse tensor(${elementText(bytes, found)})`;
    case SEQUENCE:
      return `sequence of ${inner(1)}`;
    case MAP:
      // The values of most maps are scalars, which are written as their element type.
      return `map(${elementText(bytes, found)}, ${inner(2).replace(/^tensor\((\w+)\)$/, '$1')})`;
    case OPTIONAL:
      return `optional ${inner(1)}`;
    case OPAQUE:
      return 'opaque';
    default:
      return 'unknown';
  }
}

/** The element type of a tensor, or the key type of a map: field 1 of both. */
function elementOf(bytes: Bytes, type: Field): DataTypeName | undefined {
  const field = lastOf(bytes, type, 1);
  return field?.wire === 0 ? ELEMENTS.get(Number(int64(bytes, field)) as 1) : undefined;
}

function elementText(bytes: Bytes, type: Field): string {
  const element = elementOf(bytes, type);
  return element === undefined ? 'unknown' : specName(element);
}

function specName(element: DataTypeName): string {
  return SPEC_NAMES[element] ?? element;
}

const CASES: readonly number[] = [TENSOR, SEQUENCE, MAP, OPAQUE, SPARSE_TENSOR, OPTIONAL];

/** The case of a TypeProto: the last one in the file, by protobuf's rule for a oneof. */
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
