import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import { graphsOf, usesIn } from '../../../../onnx/edit/graphs.ts';
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../../../../onnx/proto/onnx_pb.ts';
import { convertAttributes } from './attributes.ts';
import { isFloat32Input, isFloat32Output } from './float32-operators.ts';
import type { ValueTypes } from './value-types.ts';
import { createVersions, type Place, type Width } from './value-versions.ts';

const { float16, float32 } = DATA_TYPES;

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

/**
 * Makes the float32 values of a graph float16, with a Cast wherever a node needs the other type, each once for a value and graph. The
 * names are those of onnxruntime's float16.py.
 */
export function convertGraph(graph: GraphProto, options: ConversionOptions): void {
  const { types, names, float32Nodes, keepsIo, onTensor } = options;
  const { read, cast } = createVersions(names);
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
