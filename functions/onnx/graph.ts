import { type ConstantTensor, rawElements, readSparse, readTensor } from './constant-tensor.ts';
import { DATA_TYPES } from './data-type.ts';
import { type Bytes, deeper, type Field, fields, int64, int64s, text, textOf, WireError } from './wire.ts';

/** A dimension as a file declares it: a size, the name of one that callers choose, or undefined if it is open. */
type Dimension = number | string | undefined;

/** An input or output of a graph. */
interface GraphValue {
  readonly name: string;
  /** Undefined if the file does not give the rank, and for a value that is not a tensor. */
  readonly shape: readonly Dimension[] | undefined;
}

/** A NodeProto of onnx.proto. */
export interface GraphNode {
  readonly name: string;
  /** '' for ONNX's own operators. */
  readonly domain: string;
  readonly operator: string;
  /** Selects one of several functions of the same name; '' if there is one. */
  readonly overload: string;
  /** An empty name is an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A GraphProto of onnx.proto. */
export interface Graph {
  /** In the order of the file, which the specification requires to be topological. */
  readonly nodes: readonly GraphNode[];
  /** The initializers, by name. */
  readonly constants: ReadonlyMap<string, ConstantTensor>;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

/** An operator that the file defines by nodes of other operators: a FunctionProto of onnx.proto. */
export interface GraphFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly GraphNode[];
  /** Versions of operator sets by domain; '' is ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>;
  /** The attributes that a call of the function may omit. */
  readonly defaults: Attributes;
}

/** The graph of a model, with the operators that it uses. */
export interface ModelGraph {
  readonly graph: Graph;
  /** Versions of operator sets by domain; '' is ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>;
  /** By {@link functionKey}. */
  readonly functions: ReadonlyMap<string, GraphFunction>;
}

/**
 * Reads the graph of a model file without its weights. Attributes are read when they are used, so `bytes` must stay open as long as
 * the graph is used. The fields' numbers are those of onnx.proto.
 * @throws WireError if the file is damaged
 */
export function readGraph(bytes: Bytes): ModelGraph {
  const graphs: Field[] = [];
  const opsets = new Map<string, number>();
  const functions = new Map<string, GraphFunction>();
  for (const field of fields(bytes, 0, bytes.size)) {
    if (field.number === 7) graphs.push(field);
    else if (field.number === 8) readOpset(bytes, field, opsets);
    else if (field.number === 25) readFunction(bytes, field, functions);
  }
  return { graph: readGraphFields(bytes, graphs, 0), opsets, functions };
}

function readGraphFields(bytes: Bytes, parts: readonly Field[], depth: number): Graph {
  const nodes: GraphNode[] = [];
  const constants = new Map<string, ConstantTensor>();
  const inputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  for (const part of parts) {
    for (const field of fields(bytes, part.from, part.to)) {
      if (field.number === 1) nodes.push(readNode(bytes, field, depth));
      else if (field.number === 5) constants.set(...readTensor(bytes, field));
      else if (field.number === 15) constants.set(...readSparse(bytes, field));
      else if (field.number === 11) inputs.push(readGraphValue(bytes, field));
      else if (field.number === 12) outputs.push(readGraphValue(bytes, field));
    }
  }
  return { nodes, constants, inputs, outputs };
}

function readNode(bytes: Bytes, { from, to }: Field, depth: number): GraphNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Field[] = [];
  let [name, operator, domain, overload] = ['', '', '', ''];
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1) inputs.push(text(bytes, field));
    else if (field.number === 2) outputs.push(text(bytes, field));
    else if (field.number === 3) name = text(bytes, field);
    else if (field.number === 4) operator = text(bytes, field);
    else if (field.number === 5) attributes.push(field);
    else if (field.number === 7) domain = text(bytes, field);
    else if (field.number === 8) overload = text(bytes, field);
  }
  if (domain === 'ai.onnx') domain = '';
  return { name, domain, operator, overload, inputs, outputs, attributes: new Attributes(bytes, attributes, depth) };
}

function readGraphValue(bytes: Bytes, info: Field): GraphValue {
  let shape: Dimension[] | undefined;
  for (const type of within(bytes, info, 2)) {
    for (const tensor of within(bytes, type, 1)) {
      for (const dims of within(bytes, tensor, 2))
        shape = [...within(bytes, dims, 1)].map((dim) => dimension(bytes, dim));
    }
  }
  return { name: textOf(bytes, info, 1), shape };
}

function dimension(bytes: Bytes, { from, to }: Field): Dimension {
  let found: Dimension;
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1 && field.wire === 0) found = Number(int64(bytes, field));
    else if (field.number === 2 && field.wire === 2) found = text(bytes, field) || undefined;
  }
  // Some exporters write 0 or -1 for an open size.
  return typeof found === 'number' && found <= 0 ? undefined : found;
}

function* within(bytes: Bytes, { from, to }: Field, number: number): Generator<Field, void, undefined> {
  for (const field of fields(bytes, from, to)) if (field.number === number && field.wire === 2) yield field;
}

function readOpset(bytes: Bytes, field: Field, into: Map<string, number>): void {
  let version = 0;
  for (const inner of fields(bytes, field.from, field.to)) {
    if (inner.number === 2 && inner.wire === 0) version = Number(int64(bytes, inner));
  }
  const domain = textOf(bytes, field, 1);
  const key = domain === 'ai.onnx' ? '' : domain;
  if ((into.get(key) ?? version) !== version) throw new WireError(`two versions of the operator set '${key}'`);
  into.set(key, version);
}

function readFunction(bytes: Bytes, { from, to }: Field, into: Map<string, GraphFunction>): void {
  const [inputs, outputs, nodes, defaults]: [string[], string[], GraphNode[], Field[]] = [[], [], [], []];
  const opsets = new Map<string, number>();
  let [name, domain, overload] = ['', '', ''];
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1) name = text(bytes, field);
    else if (field.number === 4) inputs.push(text(bytes, field));
    else if (field.number === 5) outputs.push(text(bytes, field));
    else if (field.number === 7) nodes.push(readNode(bytes, field, 0));
    else if (field.number === 9) readOpset(bytes, field, opsets);
    else if (field.number === 10) domain = text(bytes, field);
    else if (field.number === 11) defaults.push(field);
    else if (field.number === 13) overload = text(bytes, field);
  }
  const key = functionKey(domain === 'ai.onnx' ? '' : domain, name, overload);
  if (into.has(key)) throw new WireError(`two functions ${key}`);
  into.set(key, { inputs, outputs, nodes, opsets, defaults: new Attributes(bytes, defaults, 0) });
}

/** The key of a function in `ModelGraph.functions`. @param domain '' for ONNX's own */
export function functionKey(domain: string, name: string, overload: string): string {
  return [domain, name, overload].join(':');
}

/** The attributes to which those of a function's nodes may refer: of the calling node, and the function's defaults. */
interface AttributeScope {
  readonly given: Attributes;
  readonly defaults: Attributes;
}

/** The nodes of a function, or of a graph inside one, with the attributes that they have in one call of the function. */
export function boundNodes(nodes: readonly GraphNode[], scope: AttributeScope): GraphNode[] {
  return nodes.map((node) => ({ ...node, attributes: node.attributes.bound(scope) }));
}

/**
 * The attributes of a node, by name. Each is read when it is used: those of a tree ensemble have millions of elements. An attribute
 * that is missing, or of another type, is undefined; a list of another type is empty. Methods throw WireError for a damaged file.
 */
export class Attributes {
  readonly #bytes: Bytes;
  readonly #depth: number;
  readonly #fields: readonly Field[];
  #named: Map<string, Field> | undefined;
  /** For a node in a function: the attributes of the call. */
  #scope: AttributeScope | undefined;

  constructor(bytes: Bytes, attributes: readonly Field[], depth: number) {
    this.#bytes = bytes;
    this.#depth = depth;
    this.#fields = attributes;
  }

  /** Read at the first use, because the attributes of most nodes are never used. */
  get #byName(): Map<string, Field> {
    this.#named ??= new Map(this.#fields.map((field) => [firstText(this.#bytes, field), field]));
    return this.#named;
  }

  /**
   * The attributes of a node in a function. One that refers to an attribute of the function has the value of the call, or the
   * function's default; without either, it is missing.
   */
  bound(scope: AttributeScope): Attributes {
    const bound = new Attributes(this.#bytes, [], this.#depth);
    bound.#scope = scope;
    for (const [name, field] of this.#byName) {
      const reference = this.#lastOf(field, 21);
      const source = reference === undefined ? '' : text(this.#bytes, reference);
      const value = source === '' ? field : (scope.given.#byName.get(source) ?? scope.defaults.#byName.get(source));
      if (value !== undefined) bound.#byName.set(name, value);
    }
    return bound;
  }

  /** Whether one of them has a graph. */
  get hasGraph(): boolean {
    for (const field of this.#byName.values()) {
      for (const { number } of fields(this.#bytes, field.from, field.to))
        if (number === 6 || number === 11) return true;
    }
    return false;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  int(name: string): number | undefined {
    const value = this.#field(name, 3);
    return value === undefined ? undefined : Number(int64(this.#bytes, value));
  }

  float(name: string): number | undefined {
    const value = this.#field(name, 2);
    return value && rawElements(this.#bytes.read(value.from, value.to), DATA_TYPES.float32)![0];
  }

  text(name: string): string | undefined {
    const value = this.#field(name, 4);
    return value && text(this.#bytes, value);
  }

  ints(name: string): readonly number[] | undefined {
    return this.#list(name, 8, (field) => int64s(this.#bytes, field).map(Number));
  }

  floats(name: string): readonly number[] | undefined {
    return this.#list(name, 7, ({ from, to }) => rawElements(this.#bytes.read(from, to), DATA_TYPES.float32)!);
  }

  texts(name: string): readonly string[] | undefined {
    return this.#list(name, 9, (field) => [text(this.#bytes, field)]);
  }

  tensor(name: string): ConstantTensor | undefined {
    const value = this.#field(name, 5);
    return value && readTensor(this.#bytes, value)[1];
  }

  graph(name: string): Graph | undefined {
    const value = this.#field(name, 6);
    if (value === undefined) return undefined;
    const graph = readGraphFields(this.#bytes, [value], deeper(this.#depth));
    const scope = this.#scope;
    return scope === undefined ? graph : { ...graph, nodes: boundNodes(graph.nodes, scope) };
  }

  #field(name: string, number: number): Field | undefined {
    const attribute = this.#byName.get(name);
    return attribute && this.#lastOf(attribute, number);
  }

  #lastOf({ from, to }: Field, number: number): Field | undefined {
    let found: Field | undefined;
    for (const field of fields(this.#bytes, from, to)) if (field.number === number) found = field;
    return found;
  }

  #list<T>(name: string, number: number, read: (field: Field) => readonly T[]): readonly T[] | undefined {
    const attribute = this.#byName.get(name);
    if (attribute === undefined) return undefined;
    const values: T[] = [];
    for (const field of fields(this.#bytes, attribute.from, attribute.to)) {
      if (field.number === number) for (const value of read(field)) values.push(value);
    }
    return values;
  }
}

/** The name of an attribute. Writers put it first, so that the fields after it are not read. */
function firstText(bytes: Bytes, { from, to }: Field): string {
  for (const field of fields(bytes, from, to)) if (field.number === 1) return text(bytes, field);
  return '';
}
