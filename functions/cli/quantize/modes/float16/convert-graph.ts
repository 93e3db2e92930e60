import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import { graphsOf, type Scope, usesIn } from '../../../../onnx/edit/graphs.ts';
import { node as createNode } from '../../../../onnx/proto/build.ts';
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../../../../onnx/proto/onnx_pb.ts';
import { convertAttributes } from './attributes.ts';
import { isFloat32Input, isFloat32Output } from './float32-operators.ts';
import type { ValueTypes } from './value-types.ts';

const { float16, float32 } = DATA_TYPES;
/** The name of a value in front of a Cast, or behind it. */
const CAST_VALUE = /_cast_(\d+)$/;

/** A type of the new model for a value that was float32. */
type Width = typeof float16 | typeof float32;

/** The names of a value in each type, as far as it exists in it. */
type Versions = { [float16]?: string; [float32]?: string };

export interface ConversionOptions {
  readonly types: ValueTypes;
  readonly names: (base: string) => string;
  /** Nodes that are computed in float32, with all inside their graphs. */
  readonly float32Nodes: ReadonlySet<NodeProto>;
  /** Whether inputs and outputs of the model stay float32. */
  readonly keepsIo: boolean;
  /** Called with each initializer and each tensor of an attribute that becomes float16. */
  readonly onTensor: (tensor: TensorProto) => void;
}

/** A graph that is converted, and those around it. */
interface Place {
  readonly scope: Scope & { readonly graph: GraphProto };
  readonly outer: Place | undefined;
  readonly versions: Map<string, Versions>;
  readonly into: NodeProto[];
}

/**
 * Makes the float32 values of a graph float16, with a Cast wherever a node needs the other type, each once for a value and graph. The
 * names are those of onnxruntime's float16.py.
 */
export function convertGraph(graph: GraphProto, options: ConversionOptions): void {
  const { types, names, float32Nodes, keepsIo, onTensor } = options;
  convert({ nodes: graph.node, graph, function: undefined, outer: undefined }, undefined, keepsIo ? float32 : float16);

  /** @param io the type of the inputs and outputs */
  function convert(scope: Place['scope'], outer: Place | undefined, io: Width): void {
    const place: Place = { scope, outer, versions: new Map(), into: [] };
    const { graph: own } = scope;
    const isFloat = (value: string): boolean => types.of(own, value) === float32;
    const pinned = new Set(own.output.map(({ name }) => name).filter(isFloat));
    const initializers = new Set(own.initializer.map(({ name }) => name));
    for (const input of own.input) {
      if (!isFloat(input.name) || initializers.has(input.name)) continue;
      place.versions.set(input.name, { [io]: input.name });
      setType(input, io);
    }
    convertInitializers(place, io, pinned);
    for (const node of own.node) convertNode(node, place, io, pinned);
    for (const output of own.output) {
      if (pinned.has(output.name)) finishOutput(output, place, io);
    }
    own.valueInfo = own.valueInfo.filter((info) => {
      const known = isFloat(info.name) ? place.versions.get(info.name) : undefined;
      if (known === undefined) return true;
      const width = ([float16, float32] as const).find((one) => known[one] === info.name);
      if (width !== undefined) setType(info, width);
      return width !== undefined;
    });
    own.node.length = 0;
    for (const node of place.into) own.node.push(node);
  }

  function convertInitializers({ scope, versions }: Place, io: Width, pinned: ReadonlySet<string>): void {
    const uses = usesIn(scope);
    for (const tensor of scope.graph.initializer) {
      const { name, dataType } = tensor;
      if (dataType !== float32) continue;
      const readers = uses.of(name).map(({ node, input }) => widthOf(node, input));
      if (pinned.has(name)) readers.push(io);
      const mustStay = (pinned.has(name) && io === float32) || !readers.includes(float16);
      versions.set(name, { [mustStay ? float32 : float16]: name });
      if (!mustStay) onTensor(tensor);
    }
  }

  function widthOf(node: NodeProto, input: number): Width {
    return float32Nodes.has(node) || isFloat32Input(node, input) ? float32 : float16;
  }

  function convertNode(node: NodeProto, place: Place, io: Width, pinned: ReadonlySet<string>): void {
    const { graph: own } = place.scope;
    for (const [i, value] of node.input.entries()) {
      if (types.of(own, value) === float32) node.input[i] = read(value, widthOf(node, i), place, { node, input: i });
    }
    const isBlocked = float32Nodes.has(node);
    for (const inner of graphsOf(node)) {
      const scope = { nodes: inner.node, graph: inner, function: undefined, outer: place.scope };
      convert(scope, place, isBlocked ? float32 : float16);
    }
    for (const [i, value] of node.output.entries()) {
      if (types.of(own, value) !== float32) continue;
      const width: Width = isBlocked || isFloat32Output(node, i) ? float32 : float16;
      const name = (pinned.has(value) ? io : float16) === width ? value : otherName(node, i, value, place);
      place.versions.set(value, { [width]: name });
      node.output[i] = name;
    }
    if (!isBlocked) convertAttributes(node, onTensor);
    place.into.push(node);
  }

  /** The name of an output that does not have the type of the value's own name. */
  function otherName(node: NodeProto, i: number, value: string, { scope, outer }: Place): string {
    const at = outer === undefined ? scope.graph.output.findIndex(({ name }) => name === value) : -1;
    return names(at === -1 ? `${node.name || value}_output_cast_${i}` : `graph_output_cast_${at}`);
  }

  /** The name of a value in a type, after a Cast if it does not exist in it yet. */
  function read(value: string, width: Width, place: Place, by: { node: NodeProto; input: number }): string {
    let found: Versions | undefined;
    for (let at: Place | undefined = place; at !== undefined && found === undefined; at = at.outer)
      found = at.versions.get(value);
    const known = found?.[width];
    if (known !== undefined) return known;
    const from = found?.[width === float16 ? float32 : float16] ?? value;
    const isFree = found !== undefined && from !== value && place.versions.has(value);
    const name = isFree ? value : names(castName(value, width, place, by));
    cast(from, name, width, place);
    place.versions.set(value, { ...found, [width]: name });
    return name;
  }

  function castName(
    value: string,
    width: Width,
    { scope, outer }: Place,
    { node, input }: { node: NodeProto; input: number },
  ): string {
    const at = outer === undefined ? scope.graph.input.findIndex(({ name }) => name === value) : -1;
    if (at !== -1) return `graph_input_cast_${at}`;
    return width === float32 ? `${node.name || value}_input_cast_${input}` : `${value}_float16`;
  }

  function cast(from: string, to: string, width: Width, { into }: Place): void {
    // float16.py names the node as the value that it added, without the last underscore.
    const added = [to, from].find((value) => CAST_VALUE.test(value)) ?? `${to}_cast`;
    const name = names(added.replace(CAST_VALUE, '_cast$1'));
    into.push(createNode('Cast', [from], [to], { to: BigInt(width) }, { name }));
  }

  function finishOutput(output: ValueInfoProto, place: Place, io: Width): void {
    const own = place.versions.get(output.name);
    setType(output, io);
    if (own?.[io] === output.name) return;
    if (own !== undefined) cast(own[float16] ?? own[float32]!, output.name, io, place);
    else output.name = read(output.name, io, place, { node: place.scope.graph.node[0]!, input: 0 });
  }
}

function setType({ type }: ValueInfoProto, width: Width): void {
  if (type?.value.case === 'tensorType') type.value.value.elemType = width;
}
