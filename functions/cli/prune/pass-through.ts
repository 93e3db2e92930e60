import { DATA_TYPES } from '../../onnx/data-type.ts';
import { canRead, replaceUses, type Scope, scopesOf, type Uses, usesIn } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import { elementsInside, isOutside } from '../../onnx/edit/tensor-data.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../onnx/proto/onnx_pb.ts';

/** Nodes that were removed, by their operator. */
export type RemovedNodes = ReadonlyMap<string, number>;

/**
 * Removes nodes that return their input as it is: Identity, and Dropout outside of training, whose readers read its input instead.
 * An Identity whose output is one of the graph stays if its input has a name that must stay: an input, an initializer, another output.
 */
export function removePassThroughs({ proto }: EditableModel): RemovedNodes {
  const removed = new Map<string, number>();
  for (const scope of scopesOf(proto)) {
    const opset = opsetOf(scope, proto.opsetImport);
    for (const { opType } of bypass(scope, (node, uses) => isPassThrough(node, uses, scope, opset)))
      removed.set(opType, (removed.get(opType) ?? 0) + 1);
  }
  return removed;
}

/** The Dropouts that change their input in every run: `training_mode` is true, or the model computes it. */
export function findTrainingDropouts({ proto }: EditableModel): NodeProto[] {
  return [...scopesOf(proto)].flatMap((scope) => {
    const opset = opsetOf(scope, proto.opsetImport);
    return scope.nodes.filter((node) => isOwn(node, 'Dropout') && !isInference(node, scope, opset));
  });
}

const isOwn = ({ opType, domain }: NodeProto, operator: string): boolean =>
  opType === operator && (domain === '' || domain === 'ai.onnx');

function isPassThrough(node: NodeProto, uses: Uses, scope: Scope, opset: number): boolean {
  if (isOwn(node, 'Identity')) return true;
  // The mask, its second output, is a value of its own.
  return isOwn(node, 'Dropout') && uses.isUnused(node.output[1] ?? '') && isInference(node, scope, opset);
}

/** From operator set 7 on, a Dropout outside of training does nothing; from 12 on, an input says that it is in training. */
function isInference({ input: [, , mode = ''] }: NodeProto, scope: Scope, opset: number): boolean {
  if (opset < 7) return false;
  return opset < 12 || mode === '' || isFalse(mode, scope);
}

/** Whether a value is the constant `false`, which no caller can replace. */
function isFalse(name: string, scope: Scope): boolean {
  for (let around: Scope | undefined = scope; around !== undefined; around = around.outer) {
    const tensor = constantOf(name, around);
    if (tensor === undefined && !isInputOf(name, around.graph)) continue;
    if (tensor === undefined || isInputOf(name, around.graph)) return false;
    return tensor.dataType === DATA_TYPES.bool && !isOutside(tensor) && elementsInside(tensor).join() === '0';
  }
  return false;
}

const isInputOf = (name: string, graph: GraphProto | undefined): boolean =>
  graph?.input.some((input) => input.name === name) ?? false;

function constantOf(name: string, { graph, nodes }: Scope): TensorProto | undefined {
  const node = nodes.find(({ output }) => output.includes(name));
  if (node !== undefined && isOwn(node, 'Constant')) return node.attribute.find((one) => one.name === 'value')?.t;
  return graph?.initializer.find((tensor) => tensor.name === name);
}

interface OpsetImport {
  readonly domain: string;
  readonly version: bigint;
}

/** The version of ONNX's own operators in a graph: that of the function around it, or of the model. */
function opsetOf(scope: Scope, imports: readonly OpsetImport[]): number {
  let outermost = scope;
  while (outermost.outer !== undefined) outermost = outermost.outer;
  const own = (outermost.function?.opsetImport ?? imports).find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return Number(own?.version ?? 0);
}

/** Removes the nodes of a graph that `isRemovable` names, where the readers of their first output can read their first input. */
function bypass(scope: Scope, isRemovable: (node: NodeProto, uses: Uses) => boolean): NodeProto[] {
  const uses = usesIn(scope);
  const sources = new Map<string, string>();
  const removed = new Set<NodeProto>();
  const ofOutputs: NodeProto[] = [];
  for (const node of scope.nodes) {
    const [input = '', output = ''] = [node.input[0], node.output[0]];
    if (input === '' || !isRemovable(node, uses)) continue;
    if (uses.isOutput(output)) {
      ofOutputs.push(node);
      continue;
    }
    // The input may be the output of a node that is removed as well.
    const source = sources.get(input) ?? input;
    if (!canRead(scope, uses.of(output), source)) continue;
    sources.set(output, source);
    removed.add(node);
  }
  for (const [output, source] of sources) for (const { node, input } of uses.of(output)) node.input[input] = source;
  keep(scope, (node) => !removed.has(node));
  // One by one, because each renames a value; a graph has few outputs.
  for (const node of ofOutputs) if (giveName(scope, node)) removed.add(node);
  return [...removed];
}

/** Gives the name of a node's output to its input, which then needs no such node. @returns whether it is possible */
function giveName(scope: Scope, node: NodeProto): boolean {
  const [input, output] = [node.input[0]!, node.output[0]!];
  const producer = scope.nodes.find((one) => one !== node && one.output.includes(input));
  if (producer === undefined || usesIn(scope).isOutput(input)) return false;
  if (!replaceUses(scope, input, output)) return false;
  producer.output = producer.output.map((name) => (name === input ? output : name));
  keep(scope, (one) => one !== node);
  return true;
}

/** Removes nodes from the list of the message. */
function keep({ nodes }: Scope, isKept: (node: NodeProto) => boolean): void {
  const kept = nodes.filter(isKept);
  if (kept.length === nodes.length) return;
  nodes.length = 0;
  // One by one: a call takes some hundred thousand arguments at most.
  for (const node of kept) nodes.push(node);
}
