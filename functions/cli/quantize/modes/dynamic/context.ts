import { node as createNode } from '../../../../onnx/proto/build.ts';
import type { NodeProto } from '../../../../onnx/proto/onnx_pb.ts';
import type { Weight } from '../../weights.ts';
import type { Names, QuantizedValue } from './quantized-value.ts';
import type { QuantizedWeights } from './quantized-weights.ts';

/** What became of a node: the operator that computes it now, or why it stays as it is. Undefined: there is nothing to quantize. */
export type Rewritten = { readonly by: string } | { readonly reason: string } | undefined;

/** Rewrites a node: adds those that replace it, unless it stays as it is. */
export type Rewrite = (node: NodeProto, context: GraphContext) => Promise<Rewritten>;

/** A graph that is rewritten, node by node. */
export interface GraphContext {
  readonly names: Names;
  readonly weights: QuantizedWeights;
  /** The weight behind an input of a node, or a reason why it is none: `its input W is no constant`. */
  weightOf(node: NodeProto, input: number): Weight | string;
  /** Adds a node after those before. */
  add(node: NodeProto): void;
  /** Creates a node, see `build.ts`, and adds it. */
  create(...parameters: Parameters<typeof createNode>): NodeProto;
  /** The value as integers, quantized when it is first needed. @param dtype if the operator takes uint8 alone */
  quantize(value: string, dtype?: 'uint8'): QuantizedValue;
  /** Declares that a value exists as integers alone, until a node needs it as floats. */
  setIntegers(value: string, integers: QuantizedValue): void;
  /** The integers of a value that exists as integers alone. */
  integersOf(value: string): QuantizedValue | undefined;
  /** Adds what is needed so that a node can read the value as floats. */
  dequantize(value: string): void;
  /** The output of a product of two scales, which may exist already. */
  multiplyScales(name: string, scales: readonly [string, string]): string;
}

/** Creates the context of a graph. @param into gets its new nodes */
export function createContext(
  { names, weights, weightOf }: Pick<GraphContext, 'names' | 'weights' | 'weightOf'>,
  into: NodeProto[],
): GraphContext {
  const dynamic = new Map<string, QuantizedValue>();
  const integers = new Map<string, QuantizedValue>();
  const dequantized = new Set<string>();
  const products = new Map<string, string>();

  const create: GraphContext['create'] = (...parameters) => {
    const node = createNode(...parameters);
    into.push(node);
    return node;
  };

  function quantizeDynamic(value: string): QuantizedValue {
    const known = dynamic.get(value);
    if (known !== undefined) return known;
    const made: QuantizedValue = {
      quantized: names(`${value}_quantized`),
      scale: names(`${value}_scale`),
      zeroPoint: names(`${value}_zero_point`),
    };
    const outputs = [made.quantized, made.scale, made.zeroPoint];
    create('DynamicQuantizeLinear', [value], outputs, {}, { name: names(`${value}_QuantizeLinear`) });
    dynamic.set(value, made);
    return made;
  }

  function dequantize(value: string): void {
    const found = integers.get(value);
    if (found === undefined || dequantized.has(value)) return;
    const { quantized, scale, zeroPoint } = found;
    create(
      'DequantizeLinear',
      [quantized, scale, zeroPoint],
      [value],
      {},
      { name: names(`${value}_DequantizeLinear`) },
    );
    dequantized.add(value);
  }

  return {
    names,
    weights,
    weightOf,
    create,
    add: (node) => void into.push(node),
    quantize(value, dtype) {
      const found = integers.get(value);
      if (dtype === undefined && found !== undefined) return found;
      dequantize(value);
      return quantizeDynamic(value);
    },
    setIntegers: (value, found) => void integers.set(value, found),
    integersOf: (value) => (dequantized.has(value) ? undefined : integers.get(value)),
    dequantize,
    multiplyScales(name, scales) {
      const base = name === '' ? `${scales.join('_')}_mul` : `${name}_scales_mul`;
      const known = products.get(base);
      if (known !== undefined) return known;
      const output = names(`${base}:0`);
      create('Mul', scales, [output], {}, { name: names(base) });
      products.set(base, output);
      return output;
    },
  };
}
