import { ServingError } from '../../errors.ts';
import { scopesOf } from '../../onnx/edit/graphs.ts';
import type { ModelProto, NodeProto } from '../../onnx/proto/onnx_pb.ts';
import { listNames } from '../../shorten.ts';

/** Patterns of nodes: names of nodes, or operators, with `*` for any text: `/encoder/*`, `Gather`. */
export interface NodePatterns {
  /** The nodes that may be changed. Empty: all. */
  readonly only: readonly string[];
  /** The nodes that stay as they are. */
  readonly exclude: readonly string[];
}

/**
 * Reads patterns of nodes.
 * @returns whether a node may be changed
 * @throws ServingError `INVALID_INPUT` for a pattern that fits no node of the model
 */
export function selectNodes(model: ModelProto, { only, exclude }: NodePatterns): (node: NodeProto) => boolean {
  const nodes = [...scopesOf(model)].flatMap((scope) => scope.nodes);
  const [included, excluded] = [only, exclude].map((patterns) => patterns.map(matcherOf)) as [Matcher[], Matcher[]];
  for (const { pattern, matches } of [...included, ...excluded]) {
    if (nodes.some(matches)) continue;
    const operators = listNames([...new Set(nodes.map(({ opType }) => opType))].sort());
    throw new ServingError(
      'INVALID_INPUT',
      `${pattern}: no node has this name, and no node this operator; the operators of the model are ${operators}`,
    );
  }
  return (node) =>
    (included.length === 0 || included.some(({ matches }) => matches(node))) &&
    !excluded.some(({ matches }) => matches(node));
}

interface Matcher {
  readonly pattern: string;
  readonly matches: (node: NodeProto) => boolean;
}

function matcherOf(pattern: string): Matcher {
  const parts = pattern.split('*').map((text) => text.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
  const whole = new RegExp(`^${parts.join('.*')}$`, 's');
  return { pattern, matches: ({ name, opType }) => whole.test(name) || whole.test(opType) };
}
