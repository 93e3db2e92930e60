import { type Bytes, deeper, type Field, fields, openBytes, textOf } from './wire.ts';

/**
 * Finds the name of the first node of an operator in a model file, nested graphs and functions included; for a node without a name,
 * that of its first output. Undefined if there is no such node. Reads synchronously.
 * @param domain '' for ONNX's own operators
 * @throws WireError for a damaged file; the error of `openSync`
 */
export function findNode(path: string, operator: string, domain: string): string | undefined {
  const bytes = openBytes(path);
  try {
    for (const part of fields(bytes, 0, bytes.size)) {
      const found =
        part.number === 7
          ? inNodes(bytes, part, 1, 0, { operator, domain })
          : part.number === 25
            ? inNodes(bytes, part, 7, 0, { operator, domain })
            : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    bytes.close();
  }
}

interface Wanted {
  readonly operator: string;
  readonly domain: string;
}

/** @param number the field number of the nodes: 1 in a graph, 7 in a function */
function inNodes(bytes: Bytes, holder: Field, number: number, depth: number, wanted: Wanted): string | undefined {
  for (const node of fields(bytes, holder.from, holder.to)) {
    if (node.number !== number || node.wire !== 2) continue;
    if (textOf(bytes, node, 4) === wanted.operator && textOf(bytes, node, 7) === wanted.domain) {
      return textOf(bytes, node, 3) || textOf(bytes, node, 2);
    }
    const found = inAttributes(bytes, node, deeper(depth), wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inAttributes(bytes: Bytes, node: Field, depth: number, wanted: Wanted): string | undefined {
  for (const attribute of fields(bytes, node.from, node.to)) {
    if (attribute.number !== 5 || attribute.wire !== 2) continue;
    for (const part of fields(bytes, attribute.from, attribute.to)) {
      // The lists of a tree ensemble have a field for each element: they are not read.
      if (part.number >= 7 && part.number <= 9) break;
      const isGraph = (part.number === 6 || part.number === 11) && part.wire === 2;
      const found = isGraph ? inNodes(bytes, part, 1, deeper(depth), wanted) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
