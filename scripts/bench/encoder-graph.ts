import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../../functions/onnx/proto/onnx_pb.ts';

interface EncoderSize {
  readonly layers: number;
  readonly heads: number;
  /** Length of a token's vector; each layer has 12 × its square weights. */
  readonly hidden: number;
  /** Adds what a BERT has beside: `token_type_ids`, a table of so many positions, and so many tokens. Default: neither, and 100 tokens. */
  readonly bert?: { readonly tokens: number; readonly positions: number };
  /** Weights are uniform numbers in [0, 1) from here, made small. Default: zeros. */
  readonly random?: () => number;
}

/**
 * A transformer encoder node by node as torch's older exporter writes it: shapes computed from Shape, LayerNorm and GELU in
 * their parts. `input_ids`, `attention_mask` and, of a BERT, `token_type_ids` int64 [N,S] -> `last_hidden_state` float32 [N,S,hidden]. 24 layers have as many
 * nodes as an export of BERT-large.
 */
export function encoder({ layers, heads, hidden, bert, random }: EncoderSize): Uint8Array {
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  let count = 0;
  const op = (type: string, inputs: string[], attributes = {}): string => {
    const output = `/${type}_${count++}_output_0`;
    nodes.push(node(type, inputs, [output], attributes, { name: output.slice(0, -9) }));
    return output;
  };
  const ints = (...values: number[]): string => {
    const name = `onnx::Ints_${count++}`;
    initializers.push(initializer(name, 'int64', [values.length], BigInt64Array.from(values.map(BigInt))));
    return name;
  };
  const index = (value: number): string => {
    const name = `onnx::Index_${count++}`;
    initializers.push(initializer(name, 'int64', [], BigInt64Array.of(BigInt(value))));
    return name;
  };
  const float = (value: number): string => {
    const name = `onnx::Float_${count++}`;
    initializers.push(initializer(name, 'float32', [], Float32Array.of(value)));
    return name;
  };
  const weight = (...dims: number[]): string => {
    const name = `weight_${count++}`;
    const size = dims.reduce((product, dim) => product * dim, 1);
    const values = new Float32Array(size);
    // Of matrices by the size of what is summed, so that vectors keep their size; embeddings have that of a norm's output.
    const limit = dims.length === 1 ? 0.1 : dims[0]! > 4 * hidden ? 1.7 : Math.sqrt(3 / dims[0]!);
    if (random !== undefined) for (let i = 0; i < size; i++) values[i] = (2 * random() - 1) * limit;
    initializers.push(initializer(name, 'float32', dims, values));
    return name;
  };
  const gain = (): string => {
    const name = weight(hidden);
    if (random !== undefined)
      initializers.splice(-1, 1, initializer(name, 'float32', [hidden], new Float32Array(hidden).fill(1)));
    return name;
  };
  const linear = (x: string, from: number, to: number): string =>
    op('Add', [weight(to), op('MatMul', [x, weight(from, to)])]);
  const norm = (x: string): string => {
    const centred = op('Sub', [x, op('ReduceMean', [x], { axes: [-1n] })]);
    const variance = op('ReduceMean', [op('Pow', [centred, float(2)])], { axes: [-1n] });
    const scaled = op('Div', [centred, op('Sqrt', [op('Add', [variance, float(1e-5)])])]);
    return op('Add', [op('Mul', [scaled, gain()]), weight(hidden)]);
  };
  const sizes = (x: string): [string, string] => {
    const size = (axis: number): string =>
      op('Unsqueeze', [op('Gather', [op('Shape', [x]), index(axis)], { axis: 0n }), ints(0)]);
    return [size(0), size(1)];
  };
  const split = (x: string): string => {
    const shape = op('Concat', [...sizes(x), ints(heads), ints(hidden / heads)], { axis: 0n });
    return op('Transpose', [op('Reshape', [x, shape])], { perm: [0n, 2n, 1n, 3n] });
  };

  const mask = op('Unsqueeze', [op('Unsqueeze', ['attention_mask', ints(1)]), ints(2)]);
  const bias = op('Mul', [op('Sub', [float(1), op('Cast', [mask], { to: 1n })]), float(-1e4)]);
  let x = op('Gather', [weight(bert?.tokens ?? 100, hidden), 'input_ids']);
  if (bert !== undefined) {
    const places = BigInt64Array.from({ length: bert.positions }, (_, place) => BigInt(place));
    initializers.push(initializer('position_ids', 'int64', [1, bert.positions], places));
    const used = op('Slice', ['position_ids', ints(0), sizes('input_ids')[1], ints(1), ints(1)]);
    x = op('Add', [x, op('Gather', [weight(2, hidden), 'token_type_ids'])]);
    x = op('Add', [x, op('Gather', [weight(bert.positions, hidden), used])]);
  }
  x = norm(x);
  for (let layer = 0; layer < layers; layer++) {
    const [query, key, values] = [0, 1, 2].map(() => split(linear(x, hidden, hidden))) as [string, string, string];
    const scores = op('MatMul', [query, op('Transpose', [key], { perm: [0n, 1n, 3n, 2n] })]);
    const weights = op('Softmax', [op('Add', [op('Div', [scores, float(Math.sqrt(hidden / heads))]), bias])], {
      axis: -1n,
    });
    const mixed = op('Transpose', [op('MatMul', [weights, values])], { perm: [0n, 2n, 1n, 3n] });
    const shape = op('Concat', [...sizes(mixed), ints(hidden)], { axis: 0n });
    x = norm(op('Add', [linear(op('Reshape', [mixed, shape]), hidden, hidden), x]));
    const wide = linear(x, hidden, 4 * hidden);
    const gate = op('Add', [op('Erf', [op('Div', [wide, float(Math.SQRT2)])]), float(1)]);
    x = norm(op('Add', [linear(op('Mul', [op('Mul', [wide, gate]), float(0.5)]), 4 * hidden, hidden), x]));
  }
  nodes.push(node('Identity', [x], ['last_hidden_state']));
  return model({
    name: 'encoder',
    nodes,
    initializers,
    inputs: ['input_ids', 'attention_mask', ...(bert === undefined ? [] : ['token_type_ids'])].map((name) =>
      value(name, 'int64', ['N', 'S']),
    ),
    outputs: [value('last_hidden_state', 'float32', ['N', 'S', hidden])],
    opset: 14,
    producer: 'pytorch',
  });
}
