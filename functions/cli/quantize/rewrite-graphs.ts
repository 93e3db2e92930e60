import { setImmediate as turn } from 'node:timers/promises';
import { type Scope, scopesOf } from '../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../onnx/edit/open-model.ts';
import type { NodeProto } from '../../onnx/proto/onnx_pb.ts';
import type { ModeProgress } from './mode.ts';

/** Called with each node of a graph in its order, and at last with undefined. */
type NodeVisitor = (node: NodeProto | undefined) => Promise<void>;

/**
 * Replaces the nodes of each graph of a model, a graph before those inside it. Functions of the model stay as they are.
 * @param begin is given a graph, and the list that gets its new nodes
 * @throws the reason of the signal
 */
export async function rewriteGraphs(
  { proto }: EditableModel,
  signal: AbortSignal | undefined,
  progress: ModeProgress,
  begin: (scope: Scope, into: NodeProto[]) => NodeVisitor,
): Promise<void> {
  const scopes = [...scopesOf(proto)].filter(({ graph }) => graph !== undefined);
  const total = scopes.reduce((sum, { nodes }) => sum + nodes.length, 0);
  let done = 0;
  for (const scope of scopes) {
    const into: NodeProto[] = [];
    const visit = begin(scope, into);
    for (const node of scope.nodes) {
      signal?.throwIfAborted();
      progress('quantizing', done++, total);
      await visit(node);
      // Signals are heard between two weights.
      await turn();
    }
    await visit(undefined);
    scope.nodes.length = 0;
    for (const node of into) scope.nodes.push(node);
  }
}
