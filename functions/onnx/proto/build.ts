import { create } from '@bufbuild/protobuf';
import { DATA_TYPES, type DataTypeName } from '../data-type.ts';
import { type AttributeValue, attribute } from './attribute.ts';
import {
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type TypeProto,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.ts';
import { writeModel } from './write.ts';

export { initializer } from './initializer.ts';

/** Lengths of dimensions; a string names one of any length, the same for all dimensions with that name. */
export type Shape = readonly (number | string)[];

export interface GraphParts {
  readonly name: string;
  /** In topological order: a node comes after those whose outputs it reads. */
  readonly nodes: readonly NodeProto[];
  readonly initializers?: readonly TensorProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
  /** Types and shapes of values between nodes, as shape inference writes them. */
  readonly valueInfo?: readonly ValueInfoProto[];
}

/** A function of the model: a node with its domain and name is replaced by its nodes. */
export interface FunctionParts {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** In topological order. */
  readonly nodes: readonly NodeProto[];
  /** Versions of the operator sets of its nodes, by domain; `''` is the default one. */
  readonly opsets: Readonly<Record<string, number>>;
  /** Names of the attributes of a caller; see {@link AttributeReference}. */
  readonly attributes?: readonly string[];
}

export interface ModelParts extends GraphParts {
  /** Version of the default operator set. Default: 17. */
  readonly opset?: number;
  /** Version of the `ai.onnx.ml` operator set, for models that use it. */
  readonly mlOpset?: number;
  /** Versions of further operator sets, by domain: `com.microsoft`, those of the functions. */
  readonly opsets?: Readonly<Record<string, number>>;
  readonly functions?: readonly FunctionProto[];
  /** Default: 8, for operator sets up to 18. */
  readonly irVersion?: number;
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Makes one operator. An empty string among `inputs` is an optional input without a value.
 *
 * @param attributes see {@link AttributeValue}: a `bigint` is an ONNX int, a `number` a float
 */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  options: { readonly name?: string; readonly domain?: string } = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    ...options,
  });
}

/** The type of a tensor. Without a shape, its rank is unknown too. */
export function tensorType(dtype: DataTypeName, shape?: Shape): TypeProto {
  const dim = shape?.map((size) => ({
    value:
      typeof size === 'string'
        ? ({ case: 'dimParam', value: size } as const)
        : ({ case: 'dimValue', value: BigInt(size) } as const),
  }));
  const value = { elemType: DATA_TYPES[dtype], ...(dim && { shape: { dim } }) };
  return create(TypeProtoSchema, { value: { case: 'tensorType', value } });
}

/** The type of a list of values of one type. */
export function sequenceType(elemType: TypeProto): TypeProto {
  return create(TypeProtoSchema, { value: { case: 'sequenceType', value: { elemType } } });
}

/** The type of a map; `key` is string or an integer type. */
export function mapType(key: DataTypeName, valueType: TypeProto): TypeProto {
  return create(TypeProtoSchema, { value: { case: 'mapType', value: { keyType: DATA_TYPES[key], valueType } } });
}

/** A named tensor that is an input or an output of a graph. */
export function value(name: string, dtype: DataTypeName, shape?: Shape): ValueInfoProto {
  return typedValue(name, tensorType(dtype, shape));
}

/** A named value of any type: a sequence, a map, an optional. */
export function typedValue(name: string, type: TypeProto): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, type });
}

/** A graph, for the attribute of a node that has a body: Loop, If, Scan. */
export function graph(parts: GraphParts): GraphProto {
  return create(GraphProtoSchema, {
    name: parts.name,
    node: [...parts.nodes],
    initializer: [...(parts.initializers ?? [])],
    input: [...parts.inputs],
    output: [...parts.outputs],
    valueInfo: [...(parts.valueInfo ?? [])],
  });
}

/** A function, for {@link ModelParts.functions}; the model's operator sets must include its domain. */
export function localFunction({
  domain,
  name,
  inputs,
  outputs,
  nodes,
  opsets,
  attributes,
}: FunctionParts): FunctionProto {
  return create(FunctionProtoSchema, {
    domain,
    name,
    input: [...inputs],
    output: [...outputs],
    attribute: [...(attributes ?? [])],
    node: [...nodes],
    opsetImport: operatorSets(opsets),
  });
}

/** The bytes of a model file. The same parts give the same bytes. */
export function model(parts: ModelParts): Uint8Array<ArrayBuffer> {
  const { opset = 17, mlOpset, opsets = {}, irVersion = 8, producer = 'onnx-cloud-run', metadata = {} } = parts;
  return writeModel(
    create(ModelProtoSchema, {
      irVersion: BigInt(irVersion),
      producerName: producer,
      opsetImport: operatorSets({ '': opset, ...(mlOpset !== undefined && { 'ai.onnx.ml': mlOpset }), ...opsets }),
      graph: graph(parts),
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      functions: [...(parts.functions ?? [])],
    }),
  );
}

function operatorSets(versions: Readonly<Record<string, number>>) {
  return Object.entries(versions).map(([domain, version]) => ({ domain, version: BigInt(version) }));
}
