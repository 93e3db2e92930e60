import { type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { DATA_LOCATION } from '../data-type.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../proto/onnx_pb.ts';
import { header } from '../splice.ts';
import { clearElements } from './tensor-data.ts';

/** Where the elements of a tensor are written: into the model's file, or from an offset on into that of the external data. */
export interface Placement {
  readonly bytes: number;
  readonly external?: { readonly location: string; readonly offset: number };
}

/** Encoded bytes, or the elements of a tensor. */
export type Piece = Uint8Array | TensorProto;

/** The parts of an encoded message, and its length in bytes. */
export interface Encoded {
  readonly pieces: readonly Piece[];
  readonly bytes: number;
}

/**
 * Encodes a model without the elements of some tensors, of which it has the places alone. The same model gives the same bytes: lists
 * are in their order, and of a message with such tensors its other fields are first.
 * @param placements of initializers and of tensors in attributes, at any depth of graphs
 */
export function encodeModel(model: ModelProto, placements: ReadonlyMap<TensorProto, Placement>): Encoded {
  const { graph } = model;
  if (graph === undefined) return whole(ModelProtoSchema, model);
  const encode = createEncoder(placements);
  return join([whole(ModelProtoSchema, without(model, ['graph'])), field(7, encode.graph(graph))]);
}

function createEncoder(placements: ReadonlyMap<TensorProto, Placement>) {
  function encodeGraph(graph: GraphProto): Encoded {
    return join([
      whole(GraphProtoSchema, without(graph, ['node', 'initializer'])),
      ...graph.node.map((node) => field(1, isPlaced(node) ? encodeNode(node) : whole(NodeProtoSchema, node))),
      ...graph.initializer.map((tensor) => field(5, encodeTensor(tensor))),
    ]);
  }

  function encodeNode(node: NodeProto): Encoded {
    const attributes = node.attribute.map((attribute) => field(5, encodeAttribute(attribute)));
    return join([whole(NodeProtoSchema, without(node, ['attribute'])), ...attributes]);
  }

  function encodeAttribute(attribute: AttributeProto): Encoded {
    const { t, g, tensors, graphs } = attribute;
    return join([
      whole(AttributeProtoSchema, without(attribute, ['t', 'g', 'tensors', 'graphs'])),
      ...(t === undefined ? [] : [field(5, encodeTensor(t))]),
      ...(g === undefined ? [] : [field(6, encodeGraph(g))]),
      ...tensors.map((tensor) => field(10, encodeTensor(tensor))),
      ...graphs.map((graph) => field(11, encodeGraph(graph))),
    ]);
  }

  function encodeTensor(tensor: TensorProto): Encoded {
    const placement = placements.get(tensor);
    if (placement === undefined) return whole(TensorProtoSchema, tensor);
    const rest = without(tensor, []);
    clearElements(rest);
    const { bytes, external } = placement;
    if (external === undefined) {
      return join([whole(TensorProtoSchema, rest), field(9, { pieces: [tensor], bytes })]);
    }
    rest.dataLocation = DATA_LOCATION.external;
    const entries = Object.entries({ ...external, length: bytes });
    // Messages of the subset, without unknown fields: their schema's type is enough.
    rest.externalData = entries.map(([key, value]) => ({
      $typeName: 'onnx.StringStringEntryProto',
      key,
      value: String(value),
    }));
    return whole(TensorProtoSchema, rest);
  }

  /** Whether the node has a placed tensor, in a graph of its own too. */
  function isPlaced(node: NodeProto): boolean {
    return node.attribute.some(
      ({ t, g, tensors, graphs }) =>
        (t !== undefined && placements.has(t)) ||
        tensors.some((tensor) => placements.has(tensor)) ||
        (g === undefined ? graphs : [g, ...graphs]).some(hasPlaced),
    );
  }

  function hasPlaced({ node, initializer }: GraphProto): boolean {
    return initializer.some((tensor) => placements.has(tensor)) || node.some(isPlaced);
  }

  return { graph: encodeGraph };
}

function whole<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Encoded {
  const content = toBinary(schema, message);
  return { pieces: [content], bytes: content.length };
}

function field(number: number, { pieces, bytes }: Encoded): Encoded {
  const head = header(number, bytes);
  return { pieces: [head, ...pieces], bytes: head.length + bytes };
}

function join(parts: readonly Encoded[]): Encoded {
  return {
    pieces: parts.flatMap(({ pieces }) => pieces),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** A copy of the message without some fields, which shares the others. The fields that are not set are on its prototype. */
function without<T extends object>(message: T, names: readonly (keyof T)[]): T {
  const copy: T = Object.assign(Object.create(Object.getPrototypeOf(message)), message);
  for (const name of names) {
    if (Array.isArray(copy[name])) copy[name] = [] as T[keyof T];
    else Reflect.deleteProperty(copy, name);
  }
  return copy;
}
