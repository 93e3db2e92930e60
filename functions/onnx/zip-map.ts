import { DATA_TYPES } from './data-type.ts';
import type { Inspection, NonTensorOutput } from './inspect.ts';
import { unreturnable } from './refusal.ts';
import { assemble, type Edit, field, fresh, header, numberField, splice } from './splice.ts';
import { type Bytes, type Field, fields, int64s, openBytes, text, textOf } from './wire.ts';

/** The classes of a classifier, in the order of its scores. */
export interface ClassLabels {
  readonly kind: 'strings' | 'int64s';
  /** int64 labels as decimal digits. */
  readonly values: readonly string[];
}

export interface ZipMapPatch {
  /** The whole model. External data lies where it lay. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly patched: readonly { readonly output: string; readonly labels: ClassLabels }[];
}

/** A node whose first output is its first input, one way or the other. */
interface PassingNode {
  readonly node: Field;
  readonly input: string;
  /** Undefined for an Identity. */
  readonly labels: ClassLabels | undefined;
}

/**
 * Takes the ZipMaps out of a model: ai.onnx.ml's ZipMap makes a map from class to score of each row of a float tensor
 * [N, C]. Every ZipMap that an output comes from becomes an Identity, and the output, under its own name, the tensor of
 * the scores. Nothing else can read what a ZipMap gives: no operator takes a sequence of maps. The rest of the file stays
 * as it is, byte by byte, and is not decoded.
 *
 * @throws ServingError `MODEL_FAILED` that names the outputs that are no tensors for another reason
 */
export function patchZipMaps(path: string, { nonTensorOutputs }: Pick<Inspection, 'nonTensorOutputs'>): ZipMapPatch {
  const bytes = openBytes(path);
  try {
    const model = [...fields(bytes, 0, bytes.size)];
    // A message field that is there more than once is one message in parts.
    const graphs = model.filter(({ number }) => number === 7);
    const nodes = new Map(graphs.flatMap((graph) => passingNodes(bytes, graph)));
    const chains = nonTensorOutputs.map(({ name }) => chainOf(name, nodes));
    const left = nonTensorOutputs.filter((_, i) => chains[i] === undefined);
    if (left.length > 0) throw unreturnable(path, left);

    const plan = planOf(nonTensorOutputs, chains as Chain[]);
    const splices = model.flatMap((part) => {
      if (part.number !== 7) return [splice(part.start, part.to, [])];
      const graph = splice(part.from, part.to, graphEdits(bytes, part, plan));
      return [fresh(header(7, graph.bytes)), graph];
    });
    const patched = nonTensorOutputs.map(({ name }, i) => ({ output: name, labels: chains[i]!.labels }));
    return { bytes: assemble(bytes, splices), patched };
  } finally {
    bytes.close();
  }
}

/** From an output back to its ZipMap. */
interface Chain {
  readonly zipMap: PassingNode;
  readonly labels: ClassLabels;
  /** What the ZipMap and the Identities behind it give. */
  readonly values: readonly string[];
}

function chainOf(output: string, nodes: ReadonlyMap<string, PassingNode>): Chain | undefined {
  const values: string[] = [];
  let node = nodes.get(output);
  for (let value = output; node !== undefined && !values.includes(value); node = nodes.get(value)) {
    values.push(value);
    if (node.labels !== undefined) return { zipMap: node, labels: node.labels, values };
    value = node.input;
  }
  return undefined;
}

/** What is to be done to a graph. */
interface Plan {
  /** By where a ZipMap's field starts. */
  readonly zipMaps: ReadonlyMap<number, PassingNode>;
  /** The number of classes, by output. */
  readonly outputs: ReadonlyMap<string, number>;
  /** Values that were sequences of maps. */
  readonly values: ReadonlySet<string>;
}

function planOf(outputs: readonly NonTensorOutput[], chains: readonly Chain[]): Plan {
  return {
    zipMaps: new Map(chains.map(({ zipMap }) => [zipMap.node.start, zipMap])),
    outputs: new Map(outputs.map(({ name }, i) => [name, chains[i]!.labels.values.length])),
    values: new Set(chains.flatMap(({ values }) => values)),
  };
}

function graphEdits(bytes: Bytes, graph: Field, { zipMaps, outputs, values }: Plan): Edit[] {
  const edits: Edit[] = [];
  for (const part of fields(bytes, graph.from, graph.to)) {
    const zipMap = part.number === 1 ? zipMaps.get(part.start) : undefined;
    if (zipMap !== undefined) edits.push({ ...part, content: identityOf(bytes, zipMap) });
    if (part.number === 12) {
      const classes = outputs.get(textOf(bytes, part, 1));
      if (classes !== undefined) edits.push({ ...part, content: scoresOf(bytes, part, classes) });
    }
    // What value_info says of them is no longer so, and onnxruntime holds the model to it.
    if (part.number === 13 && values.has(textOf(bytes, part, 1))) edits.push({ ...part, content: new Uint8Array(0) });
  }
  return edits;
}

/** The NodeProto as an Identity: its inputs, outputs and name stay. */
function identityOf(bytes: Bytes, { node }: PassingNode): Uint8Array {
  const kept = [...fields(bytes, node.from, node.to)].filter(({ number }) => number <= 3);
  return field(1, ...kept.map(({ start, to }) => bytes.read(start, to)), field(4, 'Identity'));
}

/** The ValueInfoProto as a float tensor [N, classes]; N has no name, as any could be one of the model's own. */
function scoresOf(bytes: Bytes, value: Field, classes: number): Uint8Array {
  const shape = field(2, field(1), field(1, numberField(1, classes)));
  const type = field(2, field(1, numberField(1, DATA_TYPES.float32), shape));
  const kept = [...fields(bytes, value.from, value.to)].filter(({ number }) => number !== 2);
  return field(12, ...kept.map(({ start, to }) => bytes.read(start, to)), type);
}

/** The graph's ZipMaps and Identities, by their output. */
function passingNodes(bytes: Bytes, graph: Field): [string, PassingNode][] {
  const found: [string, PassingNode][] = [];
  for (const node of fields(bytes, graph.from, graph.to)) {
    if (node.number !== 1) continue;
    const domain = textOf(bytes, node, 7);
    const operator = textOf(bytes, node, 4);
    const isZipMap = operator === 'ZipMap' && domain === 'ai.onnx.ml';
    if (!isZipMap && !(operator === 'Identity' && (domain === '' || domain === 'ai.onnx'))) continue;
    const labels = isZipMap ? labelsOf(bytes, node) : undefined;
    // Without labels it is no ZipMap that onnxruntime would take.
    if (isZipMap && labels === undefined) continue;
    found.push([textOf(bytes, node, 2), { node, input: textOf(bytes, node, 1), labels }]);
  }
  return found;
}

/** The specification wants exactly one of the two lists; onnxruntime takes the strings where both are there. */
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
