import { readGraph } from '../../onnx/graph.ts';
import { type Inspection, inspectModel } from '../../onnx/inspect.ts';
import { type Bytes, deeper, type Field, fields, int64s, openBytes, textOf } from '../../onnx/wire.ts';

/** How often a model uses an operator, functions and graphs inside nodes included. */
export interface OperatorCount {
  /** `ai.onnx` for ONNX's own. */
  readonly domain: string;
  readonly operator: string;
  readonly nodes: number;
}

/** What a `.onnx` file says of itself. */
export interface FileDescription extends Inspection {
  /** The program that wrote it, with its version: `pytorch 2.9.0`; '' if it does not say. */
  readonly producer: string;
  /** Elements of initializers and constants, and numbers in attributes: thresholds of trees, coefficients. */
  readonly parameters: number;
  /** From the most used one down. */
  readonly operators: readonly OperatorCount[];
  /** Operators that the file defines itself, as `domain.name`. */
  readonly functions: ReadonlySet<string>;
  /** Initializers that are inputs of the graph as well: defaults, which callers cannot replace here. */
  readonly initializerInputs: readonly string[];
}

interface Counts {
  parameters: number;
  readonly operators: Map<string, OperatorCount>;
}

/**
 * Describes a model file, without its weights and lists of numbers. Reads synchronously.
 * @throws ServingError `MODEL_FAILED` for a file that is not an ONNX model
 */
export function describeFile(path: string): FileDescription {
  const inspection = inspectModel(path);
  const bytes = openBytes(path);
  try {
    const counts: Counts = { parameters: 0, operators: new Map() };
    const functions = new Set<string>();
    let [producer, version] = ['', ''];
    for (const field of fields(bytes, 0, bytes.size)) {
      if (field.number === 2 && field.wire === 2) producer = bytes.text(field.from, field.to);
      else if (field.number === 3 && field.wire === 2) version = bytes.text(field.from, field.to);
      else if (field.number === 7) countGraph(bytes, field, 0, counts);
      else if (field.number === 25) {
        functions.add(`${textOf(bytes, field, 10)}.${textOf(bytes, field, 1)}`);
        for (const node of fields(bytes, field.from, field.to)) {
          if (node.number === 7) countNode(bytes, node, 0, counts);
        }
      }
    }
    const { graph } = readGraph(bytes);
    return {
      ...inspection,
      producer: [producer, version].filter((part) => part !== '').join(' '),
      parameters: counts.parameters,
      operators: [...counts.operators.values()].sort((a, b) => b.nodes - a.nodes),
      functions,
      initializerInputs: graph.inputs.map(({ name }) => name).filter((name) => graph.constants.has(name)),
    };
  } finally {
    bytes.close();
  }
}

function countGraph(bytes: Bytes, { from, to }: Field, depth: number, counts: Counts): void {
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1) countNode(bytes, field, depth, counts);
    else if (field.number === 5) counts.parameters += elementsOf(bytes, field);
    else if (field.number === 15) {
      for (const part of fields(bytes, field.from, field.to))
        if (part.number === 1) counts.parameters += elementsOf(bytes, part);
    }
  }
}

function countNode(bytes: Bytes, node: Field, depth: number, counts: Counts): void {
  const [operator, domain] = [textOf(bytes, node, 4), textOf(bytes, node, 7) || 'ai.onnx'];
  const key = `${domain}.${operator}`;
  const nodes = (counts.operators.get(key)?.nodes ?? 0) + 1;
  counts.operators.set(key, { domain, operator, nodes });
  for (const { number, from, to } of fields(bytes, node.from, node.to)) {
    if (number !== 5) continue;
    for (const field of fields(bytes, from, to)) {
      if (field.number === 5 || field.number === 10) counts.parameters += elementsOf(bytes, field);
      else if (field.number === 6 || field.number === 11) countGraph(bytes, field, deeper(depth), counts);
      // Floats, packed or each in a field of its own.
      else if (field.number === 7) counts.parameters += (field.to - field.from) / 4;
    }
  }
}

/** The number of elements of a TensorProto. */
function elementsOf(bytes: Bytes, { from, to }: Field): number {
  let elements = 1;
  for (const field of fields(bytes, from, to)) {
    if (field.number === 1) for (const size of int64s(bytes, field)) elements *= Number(size);
    // Dims are first; string_data has a field for each element.
    else if (field.number === 6) break;
  }
  return elements;
}
