import { DATA_TYPES } from './data-type.ts';
import { unsupportedValueError } from './invalid-model.ts';
import { assemble, type Edit, field, fresh, header, numberField, splice } from './splice.ts';
import { mapElement, type Value } from './value-type.ts';
import { type Bytes, type Field, fields, int64s, openBytes, text, textOf } from './wire.ts';

/** The classes of a classifier, in the order of its scores. */
interface ClassLabels {
  readonly kind: 'strings' | 'int64s';
  /** int64 labels as decimal digits. */
  readonly values: readonly string[];
}

/** An output that was a ZipMap's in the file, and is the tensor of its scores in the patched model: a column for each class. */
interface PatchedScores {
  readonly output: string;
  readonly labels: ClassLabels;
}

/** A model with patched outputs. */
export interface OutputPatch {
  /** The complete model. The locations of external data are those of the file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly scores: readonly PatchedScores[];
}

/** A node whose output is not a tensor, or an Identity, which may follow such a node. */
interface SourceNode {
  readonly node: Field;
  readonly kind: 'zip-map' | 'sequence' | 'identity';
  /** For a SequenceConstruct, the elements. */
  readonly inputs: readonly string[];
  /** For a ZipMap only. */
  readonly labels: ClassLabels | undefined;
}

/**
 * Changes a model so that outputs that are not tensors become tensors, if their nodes are one of these:
 * - ZipMap of ai.onnx.ml makes a map from class to score of each row of a tensor [N, C]. Every ZipMap of an output becomes an
 *   Identity, and the output, under its own name, the tensor of the scores. No other node can be affected: no operator takes a
 *   sequence of maps.
 * - SequenceConstruct makes a sequence of tensors, such as the scores of a MultiOutputClassifier. Its output becomes one output for
 *   each element, with its name and `_0`, `_1` and so on.
 * The rest of the file stays the same, byte by byte, and is not decoded.
 *
 * @param outputs those that are not tensors
 * @param editGraph further edits of a part of the graph: each replaces one of its fields
 * @throws ServingError `MODEL_FAILED` that names the outputs that come from other nodes; WireError for a damaged file
 */
export function patchOutputs(
  path: string,
  outputs: readonly Pick<Value, 'name' | 'type'>[],
  editGraph: (graph: Field) => readonly Edit[] = () => [],
): OutputPatch {
  const bytes = openBytes(path);
  try {
    const model = [...fields(bytes, 0, bytes.size)];
    // Protobuf merges the parts of a message field that occurs more than once.
    const graphs = model.filter(({ number }) => number === 7);
    const nodes = new Map(graphs.flatMap((graph) => sourceNodes(bytes, graph)));
    const origins = outputs.map(({ name }) => originOf(name, nodes));
    const unknown = outputs.filter((_, i) => origins[i] === undefined);
    if (unknown.length > 0)
      throw unsupportedValueError(
        path,
        unknown.map(({ name, type }) => ({ kind: 'output', name, type })),
      );

    const plan = planOf(
      outputs.map(({ name }) => name),
      origins as Origin[],
    );
    const splices = model.flatMap((part) => {
      if (part.number !== 7) return [splice(part.start, part.to, [])];
      const edits = [...editGraph(part), ...graphEdits(bytes, part, plan)];
      // Edits replace entire fields: of two for one field, that of the outputs counts.
      const graph = splice(part.from, part.to, [...new Map(edits.map((edit) => [edit.start, edit])).values()]);
      return [fresh(header(7, graph.bytes)), graph];
    });
    const scores = [...plan.scores].map(([output, labels]) => ({ output, labels }));
    return { bytes: assemble(bytes, splices), scores };
  } finally {
    bytes.close();
  }
}

/** The node from which an output that is not a tensor comes. */
interface Origin {
  readonly source: SourceNode;
  /** The outputs of a ZipMap and of the Identities after it. */
  readonly values: readonly string[];
}

/** Finds the ZipMap of an output, through Identities, or its SequenceConstruct. */
function originOf(output: string, nodes: ReadonlyMap<string, SourceNode>): Origin | undefined {
  const values: string[] = [];
  let source = nodes.get(output);
  for (let value = output; source !== undefined && !values.includes(value); source = nodes.get(value)) {
    values.push(value);
    if (source.kind === 'zip-map' || (source.kind === 'sequence' && value === output)) return { source, values };
    value = source.inputs[0] ?? '';
  }
  return undefined;
}

/** The edits of a graph. */
interface Plan {
  /** The bytes that replace a node, by the start of its field. */
  readonly nodes: ReadonlyMap<number, (bytes: Bytes) => Uint8Array>;
  /** The classes of a ZipMap's output. */
  readonly scores: ReadonlyMap<string, ClassLabels>;
  /** The names of the elements, by the output that was their sequence. */
  readonly sequences: ReadonlyMap<string, readonly string[]>;
  /** Values that were sequences of maps. */
  readonly maps: ReadonlySet<string>;
}

function planOf(outputs: readonly string[], origins: readonly Origin[]): Plan {
  const nodes = new Map<number, (bytes: Bytes) => Uint8Array>();
  const scores = new Map<string, ClassLabels>();
  const sequences = new Map<string, readonly string[]>();
  const maps = new Set<string>();
  for (const [i, { source, values }] of origins.entries()) {
    const output = outputs[i]!;
    if (source.labels !== undefined) {
      nodes.set(source.node.start, (bytes) => identityOf(bytes, source.node));
      scores.set(output, source.labels);
      for (const value of values) maps.add(value);
    } else {
      const elements = source.inputs.map((_, element) => `${output}_${element}`);
      nodes.set(source.node.start, (bytes) => elementsOf(bytes, source, elements));
      sequences.set(output, elements);
    }
  }
  return { nodes, scores, sequences, maps };
}

function graphEdits(bytes: Bytes, graph: Field, { nodes, scores, sequences, maps }: Plan): Edit[] {
  const edits: Edit[] = [];
  for (const part of fields(bytes, graph.from, graph.to)) {
    const edit = part.number === 1 ? nodes.get(part.start) : undefined;
    if (edit !== undefined) edits.push({ ...part, content: edit(bytes) });
    if (part.number === 12) {
      const name = textOf(bytes, part, 1);
      const labels = scores.get(name);
      if (labels !== undefined) edits.push({ ...part, content: scoresOf(bytes, part, labels.values.length) });
      // They have no types: onnxruntime infers them.
      const elements = sequences.get(name)?.map((element) => field(12, field(1, element)));
      if (elements !== undefined) edits.push({ ...part, content: Buffer.concat(elements) });
    }
    // Their value_info is removed: it has the old types, which onnxruntime would check.
    if (part.number === 13 && maps.has(textOf(bytes, part, 1))) edits.push({ ...part, content: new Uint8Array(0) });
  }
  return edits;
}

/** The node itself, because another node may read its sequence, and an Identity for each element. */
function elementsOf(bytes: Bytes, { node, inputs }: SourceNode, names: readonly string[]): Uint8Array {
  const identities = inputs.map((input, i) => field(1, field(1, input), field(2, names[i]!), field(4, 'Identity')));
  return Buffer.concat([bytes.read(node.start, node.to), ...identities]);
}

/** The NodeProto as an Identity with the same inputs, outputs and name. */
function identityOf(bytes: Bytes, node: Field): Uint8Array {
  const unchanged = [...fields(bytes, node.from, node.to)].filter(({ number }) => number <= 3);
  return field(1, ...unchanged.map(({ start, to }) => bytes.read(start, to)), field(4, 'Identity'));
}

/** The ValueInfoProto as a tensor [N, classes] of the maps' scores. N has no name, because the model might use that name. */
function scoresOf(bytes: Bytes, value: Field, classes: number): Uint8Array {
  const element = DATA_TYPES[mapElement(bytes, value) ?? 'float32'];
  const shape = field(2, field(1), field(1, numberField(1, classes)));
  const type = field(2, field(1, numberField(1, element), shape));
  const unchanged = [...fields(bytes, value.from, value.to)].filter(({ number }) => number !== 2);
  return field(12, ...unchanged.map(({ start, to }) => bytes.read(start, to)), type);
}

const DEFAULT_DOMAINS = ['', 'ai.onnx'];

/** The graph's ZipMaps, SequenceConstructs and Identities, by their output. */
function sourceNodes(bytes: Bytes, graph: Field): [string, SourceNode][] {
  const found: [string, SourceNode][] = [];
  for (const node of fields(bytes, graph.from, graph.to)) {
    if (node.number !== 1) continue;
    const kind = kindOf(textOf(bytes, node, 4), textOf(bytes, node, 7));
    if (kind === undefined) continue;
    const labels = kind === 'zip-map' ? labelsOf(bytes, node) : undefined;
    // onnxruntime refuses a ZipMap without labels.
    if (kind === 'zip-map' && labels === undefined) continue;
    const inputs = [...fields(bytes, node.from, node.to)].filter(({ number, wire }) => number === 1 && wire === 2);
    found.push([textOf(bytes, node, 2), { node, kind, inputs: inputs.map((input) => text(bytes, input)), labels }]);
  }
  return found;
}

function kindOf(operator: string, domain: string): SourceNode['kind'] | undefined {
  if (operator === 'ZipMap' && domain === 'ai.onnx.ml') return 'zip-map';
  if (!DEFAULT_DOMAINS.includes(domain)) return undefined;
  if (operator === 'SequenceConstruct') return 'sequence';
  return operator === 'Identity' ? 'identity' : undefined;
}

/** The labels of a ZipMap. The specification requires exactly one of the two lists; of both, onnxruntime takes the strings. */
function labelsOf(bytes: Bytes, node: Field): ClassLabels | undefined {
  const strings: string[] = [];
  const integers: string[] = [];
  for (const attribute of fields(bytes, node.from, node.to)) {
    if (attribute.number !== 5) continue;
    const name = textOf(bytes, attribute, 1);
    for (const part of fields(bytes, attribute.from, attribute.to)) {
      if (name === 'classlabels_strings' && part.number === 9) strings.push(text(bytes, part));
      if (name !== 'classlabels_int64s' || part.number !== 8) continue;
      for (const label of int64s(bytes, part)) integers.push(String(label));
    }
  }
  if (strings.length > 0) return { kind: 'strings', values: strings };
  return integers.length > 0 ? { kind: 'int64s', values: integers } : undefined;
}
