import { DATA_LOCATION, DATA_TYPES, ELEMENT_BITS } from './data-type.ts';
import { type Edit, field, header, numberField, splice } from './splice.ts';
import { type Bytes, deeper, type Field, fields, int64, int64s } from './wire.ts';

/** A smaller initializer stays in the model: a page of memory is the least that a mapping can share. */
const MIN_MAPPED_BYTES = 4096;

/** The fields of TensorProto beside its data: dims, data_type, name, doc_string, data_location, metadata_props. */
const PLAIN_FIELDS: ReadonlySet<number> = new Set([1, 2, 8, 12, 14, 16]);

/** The large initializers of a model, as external data at their place in the model's own file. */
export interface WeightMapping {
  /** Bytes of the file that the edits remove from the model. */
  readonly bytes: number;
  /** The edits of a part of the graph. */
  editsOf(graph: Field): readonly Edit[];
}

/**
 * Finds the initializers whose elements lie in the file as onnxruntime has them in memory: `raw_data`, or a packed `float_data` or
 * `double_data`, all of which are little-endian. Those of the graphs inside nodes are among them. What is unusual stays as it is:
 * small, sparse and external tensors, those with data in several fields or of another size than their shape, types of less than a
 * byte, and tensors in attributes. Reads no weights; the time grows with the nodes and the tensors.
 *
 * @param file the name of the model's file
 * @param leastBytes the bytes of the smallest initializer that is mapped, for tests
 * @throws WireError for a damaged file
 */
export function mapWeights(bytes: Bytes, file: string, leastBytes = MIN_MAPPED_BYTES): WeightMapping {
  const context: Context = { bytes, file, leastBytes };
  const edits = new Map<number, readonly Edit[]>();
  let mapped = 0;
  for (const part of fields(bytes, 0, bytes.size)) {
    if (part.number !== 7 || part.wire !== 2) continue;
    const inner = mapGraph(context, part, 0);
    mapped += inner.bytes;
    edits.set(part.start, inner.edits);
  }
  return { bytes: mapped, editsOf: ({ start }) => edits.get(start) ?? [] };
}

interface Context {
  readonly bytes: Bytes;
  readonly file: string;
  readonly leastBytes: number;
}

interface MappedPart {
  readonly edits: readonly Edit[];
  /** Bytes of the file that the edits remove from the model. */
  readonly bytes: number;
}

const NOTHING: MappedPart = { edits: [], bytes: 0 };

function mapGraph(context: Context, graph: Field, depth: number): MappedPart {
  const { bytes, file, leastBytes } = context;
  const edits: Edit[] = [];
  let mapped = 0;
  for (const part of fields(bytes, graph.from, graph.to)) {
    if (part.wire !== 2 || part.to - part.from < leastBytes) continue;
    if (part.number === 5) {
      const data = mappableData(bytes, part);
      if (data === undefined || data.to - data.from < leastBytes) continue;
      mapped += data.to - data.from;
      edits.push({ ...part, content: externalTensor(bytes, part, data, file) });
    } else if (part.number === 1) {
      const inner = mapNode(context, part, deeper(depth));
      mapped += inner.bytes;
      edits.push(...inner.edits);
    }
  }
  return { edits, bytes: mapped };
}

/** The node with its graphs mapped: one edit, or none. */
function mapNode(context: Context, node: Field, depth: number): MappedPart {
  return mapInside(context, node, 5, (attribute) =>
    // The lists of a tree ensemble have a field for each element: an attribute with another value than a graph is not read.
    isGraph(context.bytes, attribute)
      ? mapInside(context, attribute, 6, (graph) => {
          const { edits, bytes } = mapGraph(context, graph, deeper(depth));
          return edits.length === 0 ? NOTHING : { edits: [nested(graph, edits)], bytes };
        })
      : NOTHING,
  );
}

/** Maps the large fields of one number, and makes one edit of theirs: of the message that they are in. */
function mapInside(
  { bytes, leastBytes }: Context,
  message: Field,
  number: number,
  map: (part: Field) => MappedPart,
): MappedPart {
  const edits: Edit[] = [];
  let mapped = 0;
  for (const part of fields(bytes, message.from, message.to)) {
    if (part.number !== number || part.wire !== 2 || part.to - part.from < leastBytes) continue;
    const inner = map(part);
    edits.push(...inner.edits);
    mapped += inner.bytes;
  }
  return edits.length === 0 ? NOTHING : { edits: [nested(message, edits)], bytes: mapped };
}

/** A message with edits inside it, which change its length. */
function nested(message: Field, edits: readonly Edit[]): Edit {
  const content = splice(message.from, message.to, edits);
  const head = header(message.number, content.bytes);
  return { ...message, content: { pieces: [head, ...content.pieces], bytes: head.length + content.bytes } };
}

/** Whether the attribute's first value is a graph. An attribute has one kind of value. */
function isGraph(bytes: Bytes, attribute: Field): boolean {
  for (const { number } of fields(bytes, attribute.from, attribute.to)) {
    if (number >= 2 && number <= 11) return number === 6;
  }
  return false;
}

/** The one field with the elements of a tensor, if onnxruntime can use its bytes as they are. */
function mappableData(bytes: Bytes, tensor: Field): Field | undefined {
  let data: Field | undefined;
  let type = 0;
  let elements = 1;
  for (const part of fields(bytes, tensor.from, tensor.to)) {
    if (part.number === 4 || part.number === 9 || part.number === 10) {
      if (data !== undefined || part.wire !== 2) return undefined;
      data = part;
    } else if (!PLAIN_FIELDS.has(part.number)) return undefined;
    else if (part.number === 1) for (const size of int64s(bytes, part)) elements *= Math.max(0, Number(size));
    else if (part.number === 2) type = Number(int64(bytes, part));
    else if (part.number === 14 && int64(bytes, part) !== BigInt(DATA_LOCATION.default)) return undefined;
  }
  const bits = ELEMENT_BITS.get(type);
  // Types of less than a byte are never mapped.
  if (data === undefined || bits === undefined || bits < 8) return undefined;
  const [length, isOwnType] = [data.to - data.from, data.number === 9 || type === LIST_TYPES.get(data.number)];
  return isOwnType && length > 0 && length === (elements * bits) / 8 ? data : undefined;
}

/** The type whose elements `float_data` and `double_data` have. */
const LIST_TYPES: ReadonlyMap<number, number> = new Map([
  [4, DATA_TYPES.float32],
  [10, DATA_TYPES.float64],
]);

/** The TensorProto with its data's place in the file instead of the data. */
function externalTensor(bytes: Bytes, tensor: Field, data: Field, file: string): Uint8Array {
  const kept = [...fields(bytes, tensor.from, tensor.to)].filter(
    ({ number }) => number !== data.number && number !== 14,
  );
  const entries = Object.entries({ location: file, offset: data.from, length: data.to - data.from });
  return field(
    5,
    ...kept.map(({ start, to }) => bytes.read(start, to)),
    ...entries.map(([key, value]) => field(13, field(1, key), field(2, String(value)))),
    numberField(14, DATA_LOCATION.external),
  );
}
