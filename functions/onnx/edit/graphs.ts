import type { FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto } from '../proto/onnx_pb.ts';

/** A graph of the model, one in an attribute of a node (the branch of an If, the body of a Loop), or the body of a function. */
export interface Scope {
  /** The list of the message: an edit of it edits the model. */
  readonly nodes: NodeProto[];
  /** Undefined for a function. */
  readonly graph: GraphProto | undefined;
  readonly function: FunctionProto | undefined;
  /** The graph around, whose values this one may read. */
  readonly outer: Scope | undefined;
}

/** Every graph of a model: its own first, a graph before those inside it, then the functions. */
export function* scopesOf({ graph, functions }: ModelProto): Generator<Scope, void, undefined> {
  if (graph !== undefined) yield* inside({ nodes: graph.node, graph, function: undefined, outer: undefined });
  for (const one of functions) yield* inside({ nodes: one.node, graph: undefined, function: one, outer: undefined });
}

function* inside(scope: Scope): Generator<Scope, void, undefined> {
  yield scope;
  for (const node of scope.nodes) {
    for (const graph of graphsOf(node)) yield* inside({ nodes: graph.node, graph, function: undefined, outer: scope });
  }
}

/** The graphs in the attributes of a node. */
export function graphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** Every dense tensor of a model: initializers of all graphs, and tensors in attributes. */
export function* allTensors(
  model: ModelProto,
): Generator<{ readonly tensor: TensorProto; readonly isInitializer: boolean }, void, undefined> {
  for (const { graph, nodes } of scopesOf(model)) {
    for (const tensor of graph?.initializer ?? []) yield { tensor, isInitializer: true };
    for (const { attribute } of nodes) {
      for (const { t, tensors } of attribute) {
        for (const tensor of t === undefined ? tensors : [t, ...tensors]) yield { tensor, isInitializer: false };
      }
    }
  }
}

/** A node that reads a value. */
export interface Use {
  readonly node: NodeProto;
  /** The index in `node.input`. */
  readonly input: number;
  /** The graph of the node: `scope`, or one inside it. */
  readonly scope: Scope;
}

/** Who reads the values that a graph defines or sees. */
export interface Uses {
  /** The nodes that read a value, in this graph and in those inside it; empty if there is none. */
  of(value: string): readonly Use[];
  /** Whether the value is an output of this graph, or one from outside that a graph inside returns. */
  isOutput(value: string): boolean;
  /** Whether nothing reads it. */
  isUnused(value: string): boolean;
}

/**
 * Finds who reads the values of a graph. A graph inside that defines a value of the same name hides that of the graph around. A snapshot:
 * later edits are not in it.
 */
export function usesIn(scope: Scope): Uses {
  const found = new Map<string, Use[]>();
  const outputs = new Set<string>();
  collect(scope, new Set(), found, outputs);
  const of = (value: string): readonly Use[] => found.get(value) ?? [];
  const isOutput = (value: string): boolean => outputs.has(value);
  return { of, isOutput, isUnused: (value) => of(value).length === 0 && !isOutput(value) };
}

function collect(scope: Scope, hidden: ReadonlySet<string>, found: Map<string, Use[]>, outputs: Set<string>): void {
  for (const name of outputNames(scope)) if (!hidden.has(name)) outputs.add(name);
  for (const node of scope.nodes) {
    for (const [input, name] of node.input.entries()) {
      if (name === '' || hidden.has(name)) continue;
      const uses = found.get(name);
      if (uses === undefined) found.set(name, [{ node, input, scope }]);
      else uses.push({ node, input, scope });
    }
    for (const graph of graphsOf(node)) {
      const inner: Scope = { nodes: graph.node, graph, function: undefined, outer: scope };
      collect(inner, hidden.union(definitionsOf(inner)), found, outputs);
    }
  }
}

/** The names of the outputs of a graph or of a function. */
export function outputNames({ graph, function: body }: Scope): readonly string[] {
  return graph?.output.map(({ name }) => name) ?? body?.output ?? [];
}

/** The names of the values that a graph defines itself: inputs, initializers, and outputs of its nodes. */
export function definitionsOf({ nodes, graph, function: body }: Scope): Set<string> {
  const names = new Set(body?.input ?? graph?.input.map(({ name }) => name));
  for (const { name } of graph?.initializer ?? []) names.add(name);
  for (const { values } of graph?.sparseInitializer ?? []) names.add(values?.name ?? '');
  for (const { output } of nodes) for (const name of output) names.add(name);
  names.delete('');
  return names;
}

/**
 * Lets every node that reads `from`, in this graph and those inside it, read `to` instead. Outputs of graphs keep their names.
 * @returns false, and nothing is changed, if a graph inside that reads `from` hides `to` by a value of its own
 */
export function replaceUses(scope: Scope, from: string, to: string): boolean {
  const uses = usesIn(scope).of(from);
  for (const use of uses) {
    for (let inner = use.scope; inner.graph !== scope.graph; inner = inner.outer!)
      if (definitionsOf(inner).has(to)) return false;
  }
  for (const { node, input } of uses) node.input[input] = to;
  return true;
}

/**
 * A source of names that no value and no node of the model has, in any of its graphs.
 * @returns gives `base` itself if it is free, else with `_1`, `_2` and so on; a name is given once
 */
export function createNames(model: ModelProto): (base: string) => string {
  const taken = new Set<string>();
  for (const scope of scopesOf(model)) {
    for (const name of definitionsOf(scope)) taken.add(name);
    for (const { name, input } of scope.nodes) for (const one of [name, ...input]) taken.add(one);
    for (const name of outputNames(scope)) taken.add(name);
  }
  return (base) => {
    let name = base;
    for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
    taken.add(name);
    return name;
  };
}

/**
 * Removes initializers that nothing reads, of every graph. One that is also an input of the graph stays from IR version 4 on, where a
 * caller may give it another value; before, every initializer is an input, which is removed with it.
 * @returns the names of those that were removed
 */
export function removeUnusedInitializers(model: ModelProto): string[] {
  const removed: string[] = [];
  for (const scope of scopesOf(model)) {
    const { graph } = scope;
    if (graph === undefined) continue;
    const uses = usesIn(scope);
    const inputs = new Set(model.irVersion >= 4n ? graph.input.map(({ name }) => name) : []);
    const unused = new Set(
      [...graph.initializer, ...graph.sparseInitializer.flatMap(({ values }) => values ?? [])]
        .map(({ name }) => name)
        .filter((name) => uses.isUnused(name) && !inputs.has(name)),
    );
    if (unused.size === 0) continue;
    const isKept = ({ name }: { name: string }): boolean => !unused.has(name);
    graph.initializer = graph.initializer.filter(isKept);
    graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) => values === undefined || isKept(values));
    graph.input = graph.input.filter(isKept);
    removed.push(...unused);
  }
  return removed;
}
