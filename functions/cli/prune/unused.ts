import { ServingError } from '../../errors.ts';
import { definitionsOf, outputNames, readsOf, type Scope, scopesOf, usesIn } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { NodeProto } from '../../onnx/proto/onnx_pb.ts';
import { listNames } from '../../shorten.ts';

/**
 * Keeps some outputs of the model, in their order.
 * @returns the names of the others
 * @throws ServingError `INVALID_INPUT` for a name that is no output, and for none
 */
export function selectOutputs({ path, graph }: EditableModel, names: readonly string[]): string[] {
  const has = graph.output.map(({ name }) => name);
  const unknown = names.filter((name) => !has.includes(name));
  if (unknown.length > 0 || names.length === 0) {
    const given = unknown.length > 0 ? `got ${listNames(unknown)}` : 'got none';
    throw new ServingError('INVALID_INPUT', `${path}: expected some of its outputs (${listNames(has)}), ${given}`);
  }
  graph.output = graph.output.filter(({ name }) => names.includes(name));
  return has.filter((name) => !names.includes(name));
}

/**
 * Removes the nodes of which nothing that the model returns depends, in every graph.
 * @returns how many there were
 */
export function removeUnusedNodes({ proto }: EditableModel): number {
  let removed = 0;
  // Inner graphs first: what they no longer read may have been the last use of a value around them.
  for (const scope of [...scopesOf(proto)].reverse()) {
    const used = usedNodes(scope);
    const kept = scope.nodes.filter((node) => used.has(node));
    removed += scope.nodes.length - kept.length;
    scope.nodes.length = 0;
    for (const node of kept) scope.nodes.push(node);
  }
  return removed;
}

function usedNodes(scope: Scope): Set<NodeProto> {
  const producers = new Map(scope.nodes.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const used = new Set<NodeProto>();
  const waiting = [...outputNames(scope)];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = producers.get(name);
    if (node === undefined || name === '' || used.has(node)) continue;
    used.add(node);
    waiting.push(...readsOf(node));
  }
  return used;
}

/**
 * Removes the model's functions that no node calls, and that only such functions call.
 * @returns their names
 */
export function removeUnusedFunctions({ proto }: EditableModel): string[] {
  const keyOf = ({ domain, name }: { domain: string; name: string }): string => `${domain}:${name}`;
  const functions = Map.groupBy(proto.functions, keyOf);
  const called = new Set<string>();
  const waiting = [...scopesOf({ ...proto, functions: [] })];
  for (let scope = waiting.pop(); scope !== undefined; scope = waiting.pop()) {
    for (const { domain, opType } of scope.nodes) {
      const key = keyOf({ domain, name: opType });
      const bodies = functions.get(key);
      if (bodies === undefined || called.has(key)) continue;
      called.add(key);
      waiting.push(...scopesOf({ ...proto, graph: undefined, functions: bodies }));
    }
  }
  const unused = proto.functions.filter((one) => !called.has(keyOf(one)));
  proto.functions = proto.functions.filter((one) => called.has(keyOf(one)));
  return unused.map(({ name }) => name);
}

/** Removes the types and shapes of values that no longer exist. */
export function removeStaleValueInfo({ proto }: EditableModel): void {
  for (const scope of scopesOf(proto)) {
    if (scope.graph === undefined || scope.graph.valueInfo.length === 0) continue;
    const names = definitionsOf(scope);
    scope.graph.valueInfo = scope.graph.valueInfo.filter(({ name }) => names.has(name));
  }
}

/** The inputs of the model that nothing reads. They stay: a caller gives them. */
export function findUnusedInputs({ proto, graph }: EditableModel): string[] {
  const [own] = scopesOf(proto);
  const uses = usesIn(own!);
  return graph.input.map(({ name }) => name).filter((name) => uses.isUnused(name));
}
