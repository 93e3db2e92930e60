import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import { graphsOf } from '../../../../onnx/edit/graphs.ts';
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from '../../../../onnx/proto/onnx_pb.ts';
import { attributeOf, intOf } from '../../attributes.ts';

const { bool, float32, int32, int64, string } = DATA_TYPES;

/**
 * The element type of a tensor, a number of `DATA_TYPES`, and for a sequence of tensors that number and {@link SEQUENCE}; undefined:
 * neither, or not known.
 */
export type ElementType = number | undefined;

/** More than any number of a type. */
const SEQUENCE = 1000;

/** The element types of the values of a model. */
export interface ValueTypes {
  /** Of a value that a node of the graph may read. */
  of(graph: GraphProto, value: string): ElementType;
}

type InputType = (index: number) => ElementType;

/** Types of outputs that do not depend on inputs; `T` is that of the first input. */
const FIXED: Readonly<Record<string, readonly (number | 'T')[]>> = {
  And: [bool],
  ArgMax: [int64],
  ArgMin: [int64],
  Dropout: ['T', bool],
  EmbedLayerNormalization: [float32, int32, float32],
  Equal: [bool],
  FeatureVectorizer: [float32],
  Greater: [bool],
  GreaterOrEqual: [bool],
  IsInf: [bool],
  IsNaN: [bool],
  LayerNormalization: ['T', float32, float32],
  Less: [bool],
  LessOrEqual: [bool],
  LinearRegressor: [float32],
  MaxPool: ['T', int64],
  NonMaxSuppression: [int64],
  NonZero: [int64],
  Normalizer: [float32],
  Not: [bool],
  OneHotEncoder: [float32],
  Or: [bool],
  RegexFullMatch: [bool],
  SVMRegressor: [float32],
  Scaler: [float32],
  Shape: [int64],
  SimplifiedLayerNormalization: ['T', float32],
  Size: [int64],
  SkipLayerNormalization: ['T', float32, float32, 'T'],
  StringNormalizer: [string],
  TfIdfVectorizer: [float32],
  TopK: ['T', int64],
  TreeEnsembleRegressor: [float32],
  Unique: ['T', int64, int64, int64],
  Xor: [bool],
};

/** The input that has the type of the output, where it is not the first. */
const TYPED_BY: Readonly<Record<string, number>> = { CastLike: 1, OneHot: 2, Where: 1 };

/** The type in an attribute, and what it is without: a type, or that of the first input. */
const TYPED_BY_ATTRIBUTE: Readonly<Record<string, readonly [attribute: string, otherwise: number | 'T']>> = {
  Bernoulli: ['dtype', 'T'],
  BlackmanWindow: ['output_datatype', float32],
  Cast: ['to', float32],
  EyeLike: ['dtype', 'T'],
  HammingWindow: ['output_datatype', float32],
  HannWindow: ['output_datatype', float32],
  MelWeightMatrix: ['output_datatype', float32],
  Multinomial: ['dtype', int32],
  RandomNormal: ['dtype', float32],
  RandomNormalLike: ['dtype', 'T'],
  RandomUniform: ['dtype', float32],
  RandomUniformLike: ['dtype', 'T'],
};

/** Operators on sequences: what is added to the type of the first input. */
const ON_SEQUENCES: Readonly<Record<string, number>> = {
  ConcatFromSequence: -SEQUENCE,
  SequenceAt: -SEQUENCE,
  SequenceConstruct: SEQUENCE,
  SplitToSequence: SEQUENCE,
};

/** Outputs are no tensors, or their types depend on more than is known here. */
const UNKNOWN: ReadonlySet<string> = new Set(['CategoryMapper', 'DictVectorizer', 'SequenceMap', 'ZipMap']);

/**
 * Finds the element types of all values: what the model declares, else what follows from the operators. A graph inside an attribute is
 * read with the node that has it.
 */
export function inferTypes({ graph: root, functions }: ModelProto): ValueTypes {
  const types = new Map<GraphProto, { own: Map<string, ElementType>; outer: GraphProto | undefined }>();
  const bodies = new Map(functions.map((one) => [`${one.domain}:${one.name}`, one]));
  if (root !== undefined) inferGraph(root, undefined, () => undefined);

  function inferGraph(graph: GraphProto, outer: GraphProto | undefined, given: InputType): void {
    const own = new Map<string, ElementType>();
    types.set(graph, { own, outer });
    for (const [i, input] of graph.input.entries()) own.set(input.name, declared(input) ?? given(i));
    for (const tensor of graph.initializer) own.set(tensor.name, tensor.dataType);
    const known = new Map([...graph.valueInfo, ...graph.output].map((info) => [info.name, declared(info)]));
    inferNodes(
      graph.node,
      (value) => of(graph, value),
      (value, type) => own.set(value, known.get(value) ?? type),
      graph,
    );
  }

  function inferNodes(
    nodes: readonly NodeProto[],
    typeOf: (value: string) => ElementType,
    set: (value: string, type: ElementType) => void,
    graph: GraphProto | undefined,
  ): void {
    for (const node of nodes) {
      const input: InputType = (i) => typeOf(node.input[i] ?? '');
      const found = graph === undefined ? outputTypes(node, input) : typesOfNode(node, input, graph);
      for (const [i, output] of node.output.entries()) if (output !== '') set(output, found(i));
    }
  }

  function typesOfNode(node: NodeProto, input: InputType, graph: GraphProto): InputType {
    const inner = graphsOf(node);
    const body = bodies.get(`${node.domain}:${node.opType}`);
    if (body !== undefined) {
      const own = new Map(body.input.map((name, i) => [name, input(i)]));
      inferNodes(
        body.node,
        (value) => own.get(value),
        (value, type) => own.set(value, type),
        undefined,
      );
      return (i) => own.get(body.output[i] ?? '');
    }
    if (inner.length === 0) return outputTypes(node, input);
    // The first inputs of a Loop are the limit and the condition; those of its body the number of the step and the condition.
    for (const one of inner) inferGraph(one, graph, input);
    const [first] = inner as [GraphProto];
    const skipped = node.opType === 'Loop' ? 1 : 0;
    return (i) => of(first, first.output[i + skipped]?.name ?? '');
  }

  function of(graph: GraphProto, value: string): ElementType {
    const found = types.get(graph);
    if (found === undefined) return undefined;
    if (found.own.has(value) || found.outer === undefined) return found.own.get(value);
    return of(found.outer, value);
  }

  return { of };
}

function declared({ type }: ValueInfoProto): ElementType {
  if (type?.value.case === 'tensorType') return type.value.value.elemType || undefined;
  if (type?.value.case !== 'sequenceType') return undefined;
  const element = type.value.value.elemType?.value;
  return element?.case === 'tensorType' ? element.value.elemType + SEQUENCE : undefined;
}

function outputTypes(node: NodeProto, input: InputType): InputType {
  const { opType } = node;
  if (UNKNOWN.has(opType)) return () => undefined;
  const fixed = FIXED[opType];
  const same = input(0);
  const added = ON_SEQUENCES[opType];
  if (added !== undefined) return () => (same === undefined ? undefined : same + added);
  if (opType === 'SequenceEmpty') return () => intOf(node, 'dtype', float32) + SEQUENCE;
  if (fixed !== undefined) {
    return (i) => {
      const type = fixed[i];
      return type === 'T' ? same : type;
    };
  }
  const byAttribute = TYPED_BY_ATTRIBUTE[opType];
  if (byAttribute !== undefined) {
    const [name, otherwise] = byAttribute;
    return () => intOf(node, name, 0) || (otherwise === 'T' ? same : otherwise);
  }
  if (opType === 'Constant' || opType === 'ConstantOfShape') return () => constantType(node);
  if (opType.endsWith('Classifier')) {
    const isText = (attributeOf(node, 'classlabels_strings')?.strings.length ?? 0) > 0;
    return (i) => (i === 0 ? (isText ? string : int64) : float32);
  }
  if (opType === 'LabelEncoder') return () => encodedType(node);
  return () => input(TYPED_BY[opType] ?? 0);
}

function constantType(node: NodeProto): ElementType {
  const tensor = attributeOf(node, 'value')?.t;
  if (tensor !== undefined) return tensor.dataType;
  const [first] = node.attribute;
  if (first === undefined || first.name.startsWith('value_float')) return float32;
  return first.name.startsWith('value_int') ? int64 : first.name.startsWith('value_string') ? string : undefined;
}

function encodedType(node: NodeProto): ElementType {
  const tensor = attributeOf(node, 'values_tensor')?.t;
  if (tensor !== undefined) return tensor.dataType;
  if (attributeOf(node, 'values_floats') !== undefined) return float32;
  if (attributeOf(node, 'values_int64s') !== undefined) return int64;
  return attributeOf(node, 'values_strings') === undefined ? undefined : string;
}
