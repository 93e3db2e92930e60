import { DATA_TYPES } from '../../onnx/data-type.ts';
import { removeUnusedInitializers, type Scope, usesIn } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../onnx/proto/onnx_pb.ts';
import { listNames } from '../../shorten.ts';
import { attributeOf, intOf, intsOf } from './attributes.ts';
import { nameOfType, READERS, type Weight } from './weights.ts';

/** Finds the weights of nodes. */
export interface WeightFinder {
  /**
   * The weight behind a value that a node of `scope` reads: an initializer of its graph or of one around, a Constant, or one of these
   * behind Identity, Cast to float32 and Transpose of a matrix.
   * @returns why it is none, as the end of a sentence that begins with the value: `is no constant`
   */
  find(scope: Scope, name: string): Weight | string;
  /** `find` for the inputs of the nodes of a graph; a reason is `its input W is no constant`. */
  reader(scope: Scope): (node: NodeProto, input: number) => Weight | string;
  /**
   * Removes the weights that nothing reads any more, and the Constant, Identity, Cast and Transpose nodes in front of them.
   * @returns a sentence about weights that were also inputs; undefined if there were none
   */
  removeUnused(model: EditableModel): string | undefined;
}

interface Index {
  readonly initializers: ReadonlyMap<string, TensorProto>;
  readonly producers: ReadonlyMap<string, NodeProto>;
  readonly inputs: ReadonlySet<string>;
}

function createIndex({ initializer, node: nodes, input }: GraphProto): Index {
  return {
    initializers: new Map(initializer.map((tensor) => [tensor.name, tensor])),
    producers: new Map(nodes.flatMap((node) => node.output.map((output) => [output, node] as const))),
    inputs: new Set(input.map(({ name }) => name)),
  };
}

/** Creates the finder of a model as it is now: nodes that are added later are not seen. */
export function createWeightFinder(): WeightFinder {
  const indexes = new Map<GraphProto, Index>();
  const passed = new Map<NodeProto, Scope>();
  /** The names of those that are also inputs. */
  const weights = new Set<string>();

  function indexOf(graph: GraphProto): Index {
    const index = indexes.get(graph) ?? createIndex(graph);
    indexes.set(graph, index);
    return index;
  }

  function find(scope: Scope, name: string): Weight | string {
    const found = findStored(scope, name);
    if (typeof found === 'string') return found;
    const { dataType } = found.tensor;
    return dataType === DATA_TYPES.float32 || found.isCast
      ? { ...found, name }
      : `is a constant of ${nameOfType(dataType)}`;
  }

  function findStored(scope: Scope, name: string): (Omit<Weight, 'name'> & { isCast: boolean }) | string {
    const { graph } = scope;
    if (graph === undefined) return 'belongs to a function of the model';
    const { initializers, producers, inputs } = indexOf(graph);
    const tensor = initializers.get(name);
    if (tensor !== undefined) {
      if (inputs.has(name)) weights.add(name);
      return stored(tensor, graph);
    }
    const node = producers.get(name);
    if (node === undefined) {
      return inputs.has(name) || scope.outer === undefined ? 'is no constant' : findStored(scope.outer, name);
    }
    const found = throughNode(scope, graph, node);
    if (typeof found !== 'string') passed.set(node, scope);
    return found;
  }

  function throughNode(scope: Scope, graph: GraphProto, node: NodeProto): ReturnType<typeof findStored> {
    const { opType, input } = node;
    if (opType === 'Constant') {
      const tensor = attributeOf(node, 'value')?.t;
      return tensor === undefined ? 'is no constant tensor' : stored(tensor, graph);
    }
    const source = input[0] ?? '';
    if (opType === 'Identity') return findStored(scope, source);
    const found = ['Cast', 'Transpose'].includes(opType) ? findStored(scope, source) : 'is no constant';
    if (typeof found === 'string') return found;
    if (opType === 'Cast') {
      const isReadable = READERS.has(found.tensor.dataType) && intOf(node, 'to', 0) === DATA_TYPES.float32;
      return isReadable ? { ...found, isCast: true } : 'is a constant behind a Cast that is not to float32';
    }
    const order = intsOf(node, 'perm') ?? found.dims.map((_, axis) => found.dims.length - 1 - axis);
    if (order.every((axis, i) => axis === i)) return found;
    if (order.join() !== '1,0') return 'is a constant of more than two axes behind a Transpose';
    return { ...found, dims: found.dims.toReversed(), isTransposed: !found.isTransposed };
  }

  function removeUnused({ proto, graph }: EditableModel): string | undefined {
    removeUnusedNodes(passed);
    const uses = usesIn({ nodes: graph.node, graph, function: undefined, outer: undefined });
    const isReplaced = (name: string): boolean => weights.has(name) && uses.isUnused(name);
    const inputs = graph.input.filter(({ name }) => isReplaced(name)).map(({ name }) => name);
    graph.input = graph.input.filter(({ name }) => !isReplaced(name));
    removeUnusedInitializers(proto);
    if (inputs.length === 0) return undefined;
    return `these weights were also inputs of the model, with the weight as their default, and are constants now: ${listNames(inputs)}`;
  }

  function reader(scope: Scope): (node: NodeProto, input: number) => Weight | string {
    return (node, input) => {
      const name = node.input[input] ?? '';
      const found = find(scope, name);
      return typeof found === 'string' ? `its input ${name} ${found}` : found;
    };
  }

  return { find, reader, removeUnused };
}

function stored(tensor: TensorProto, graph: GraphProto) {
  return { tensor, dims: tensor.dims.map(Number), isTransposed: false, graph, isCast: false };
}

/** Removes those of the nodes whose outputs nothing reads, again and again, because each may be the last to read another. */
function removeUnusedNodes(nodes: Map<NodeProto, Scope>): void {
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const [node, scope] of nodes) {
      const uses = usesIn(scope);
      if (!node.output.every((output) => uses.isUnused(output))) continue;
      const at = scope.nodes.indexOf(node);
      if (at !== -1) scope.nodes.splice(at, 1);
      nodes.delete(node);
      isChanged = true;
    }
  }
}
