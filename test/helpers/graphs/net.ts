import type { DataTypeName } from '../../../functions/onnx/data-type.ts';
import type { AttributeValue } from '../../../functions/onnx/proto/attribute.ts';
import {
  type FunctionParts,
  type GraphParts,
  graph,
  initializer,
  localFunction,
  model,
  node,
  type Shape,
  typedValue,
  value,
} from '../../../functions/onnx/proto/build.ts';
import type { InitializerData, InitializerType } from '../../../functions/onnx/proto/initializer.ts';
import type {
  FunctionProto,
  GraphProto,
  NodeProto,
  TensorProto,
  TypeProto,
  ValueInfoProto,
} from '../../../functions/onnx/proto/onnx_pb.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** How an exporter names and writes what it exports. */
export interface Style {
  readonly producer: string;
  readonly opset: number;
  readonly mlOpset?: number;
  readonly irVersion: number;
  /** The name of the value that the `index`th node gives. */
  readonly valueName: (op: string, index: number) => string;
  /** Constants of shapes and axes: nodes of their own, or initializers beside the weights. */
  readonly constants: 'node' | 'initializer';
}

const SHORT_DOMAINS: Readonly<Record<string, string>> = { ml: 'ai.onnx.ml', ms: 'com.microsoft' };

/** Writes a graph node by node; every method that adds a value gives its name. */
export interface Net {
  input(name: string, dtype: DataTypeName, shape?: Shape): string;
  /** Makes a value an output, under a name of its own where given. */
  output(from: string, dtype: DataTypeName, shape?: Shape, name?: string): void;
  typedOutput(from: string, type: TypeProto, name?: string): void;
  /** One node with one output. `op` may begin with a domain: `ml:Scaler`, `ms:BiasGelu`, `any.domain:Op`. */
  op(op: string, inputs: readonly string[], attributes?: Attributes): string;
  /** One node with several outputs. */
  ops(op: string, inputs: readonly string[], outputs: number, attributes?: Attributes): string[];
  /** An int64 list, as a constant. */
  ints(...list: number[]): string;
  /** An int64 scalar, as a constant. */
  int(scalar: number): string;
  /** A float32 scalar, as a constant. */
  float(scalar: number): string;
  constant(dtype: InitializerType, dims: readonly number[], data: InitializerData): string;
  /** A weight: float32 from -`scale` to `scale`. */
  weight(dims: readonly number[], scale?: number): string;
  /** A tensor of given elements among the weights. */
  table(dtype: InitializerType, dims: readonly number[], data: InitializerData): string;
  /** What the net holds, as a body of If, Loop or Scan. */
  body(): GraphProto;
  /** Gives the model a function of its own. */
  define(parts: FunctionParts): void;
  /** The bytes of the model. */
  build(): Uint8Array<ArrayBuffer>;
  /** Those written so far, for the body of a function. */
  readonly nodes: readonly NodeProto[];
}

export function createNet(name: string, style: Style): Net {
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const inputs: ValueInfoProto[] = [];
  const outputs: ValueInfoProto[] = [];
  const domains = new Set<string>();
  const functions: FunctionProto[] = [];
  const renamed = new Map<string, string>();
  const random = createRandom(name.length * 977 + (name.charCodeAt(0) << 8));
  let count = 0;

  function ops(op: string, from: readonly string[], width: number, attributes: Attributes = {}): string[] {
    const cut = op.lastIndexOf(':');
    const type = op.slice(cut + 1);
    const short = op.slice(0, Math.max(0, cut));
    const domain = SHORT_DOMAINS[short] ?? short;
    if (domain !== '') domains.add(domain);
    const base = style.valueName(type, count++);
    const names = Array.from({ length: width }, (_, i) => (i === 0 ? base : `${base}_${i}`));
    const given = from.map((each) => renamed.get(each) ?? each);
    nodes.push(node(type, given, names, attributes, { name: `${name}/${type}_${count}`, ...(domain && { domain }) }));
    return names;
  }
  const op: Net['op'] = (type, from, attributes) => ops(type, from, 1, attributes)[0]!;

  function table(dtype: InitializerType, dims: readonly number[], data: InitializerData): string {
    const label = `${name}.weight_${initializers.length}`;
    initializers.push(initializer(label, dtype, dims, data));
    return label;
  }
  function constant(dtype: InitializerType, dims: readonly number[], data: InitializerData): string {
    if (style.constants === 'initializer') return table(dtype, dims, data);
    return op('Constant', [], { value: initializer('', dtype, dims, data) });
  }

  function rename(from: string, to: string): void {
    renamed.set(from, to);
    const swap = (list: string[]) => list.map((item) => (item === from ? to : item));
    for (const each of nodes) {
      each.input = swap(each.input);
      each.output = swap(each.output);
    }
  }

  const parts = (): GraphParts => ({ name, nodes, initializers, inputs, outputs });
  return {
    nodes,
    op,
    ops,
    table,
    constant,
    input(label, dtype, shape) {
      inputs.push(value(label, dtype, shape));
      return label;
    },
    output(from, dtype, shape, label = from) {
      rename(from, label);
      outputs.push(value(label, dtype, shape));
    },
    typedOutput(from, type, label = from) {
      rename(from, label);
      outputs.push(typedValue(label, type));
    },
    ints: (...list) => constant('int64', [list.length], list),
    int: (scalar) => constant('int64', [], [scalar]),
    float: (scalar) => constant('float32', [], [scalar]),
    weight(dims, scale = 0.5) {
      const length = dims.reduce((product, dim) => product * dim, 1);
      return table(
        'float32',
        dims,
        Float32Array.from({ length }, () => ((random.int(2001) - 1000) / 1000) * scale),
      );
    },
    body: () => graph(parts()),
    define(parts) {
      functions.push(localFunction(parts));
      domains.add(parts.domain);
    },
    build() {
      const { opset, irVersion, producer, mlOpset = 3 } = style;
      const versions: Record<string, number> = {};
      for (const domain of domains) versions[domain] = domain === 'ai.onnx.ml' ? mlOpset : 1;
      return model({ ...parts(), opset, irVersion, producer, functions, opsets: versions });
    },
  };
}

/** The style of a body inside a graph of `style`: no value has the name of one around it. */
export function inside(style: Style, prefix: string): Style {
  return { ...style, valueName: (op, index) => `${prefix}${style.valueName(op, index)}` };
}

/** `torch.onnx.export` before 2.5, and with `dynamo=False`. */
export const TORCH: Style = {
  producer: 'pytorch',
  opset: 17,
  irVersion: 8,
  valueName: (op, index) => `/${op}_${index}_output_0`,
  constants: 'node',
};

/** `torch.onnx.export(dynamo=True)`. */
export const DYNAMO: Style = {
  producer: 'pytorch',
  opset: 18,
  irVersion: 10,
  valueName: (op, index) => (index % 2 === 0 ? `val_${index}` : `${op.toLowerCase()}_${index}`),
  constants: 'initializer',
};

/** tf2onnx. */
export const KERAS: Style = {
  producer: 'tf2onnx',
  opset: 15,
  irVersion: 8,
  valueName: (op, index) => `StatefulPartitionedCall/model/layer_${index}/${op}:0`,
  constants: 'initializer',
};

/** skl2onnx and onnxmltools. */
export const SKLEARN: Style = {
  producer: 'skl2onnx',
  opset: 15,
  mlOpset: 3,
  irVersion: 8,
  valueName: (op, index) => `${op.toLowerCase().slice(0, 6)}_result${index || ''}`,
  constants: 'initializer',
};

/** onnxruntime.transformers.optimizer and the graphs that onnxruntime saves. */
export const OPTIMIZED: Style = { ...TORCH, producer: 'onnxruntime.transformers', opset: 14, constants: 'initializer' };
