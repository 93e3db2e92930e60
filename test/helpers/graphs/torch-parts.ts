import type { Net } from './net.ts';

/** What modules of torch become in an export. */

/** `x.size(axis)` as the legacy exporter writes it: an int64 scalar. */
export function sizeOf(net: Net, x: string, axis: number): string {
  return net.op('Gather', [net.op('Shape', [x]), net.int(axis)], { axis: 0n });
}

/** A list of sizes for Reshape and Expand: scalars of the graph and constants. */
export function sizes(net: Net, ...list: (string | number)[]): string {
  const parts = list.map((one) => (typeof one === 'number' ? net.ints(one) : net.op('Unsqueeze', [one, net.ints(0)])));
  return net.op('Concat', parts, { axis: 0n });
}

/** nn.Linear on a matrix. */
export function gemm(net: Net, x: string, from: number, to: number): string {
  return net.op('Gemm', [x, net.weight([to, from]), net.weight([to])], { alpha: 1, beta: 1, transB: 1n });
}

/** nn.Linear on any rank. */
export function linear(net: Net, x: string, from: number, to: number): string {
  return net.op('Add', [net.weight([to]), net.op('MatMul', [x, net.weight([from, to])])]);
}

/** LayerNorm in the operators that opset 16 has for it. */
export function layerNormParts(net: Net, x: string, width: number): string {
  const mean = (of: string) => net.op('ReduceMean', [of], { axes: [-1n] });
  const centred = net.op('Sub', [x, mean(x)]);
  const variance = mean(net.op('Pow', [centred, net.float(2)]));
  const deviation = net.op('Sqrt', [net.op('Add', [variance, net.float(1e-5)])]);
  const scaled = net.op('Mul', [net.op('Div', [centred, deviation]), net.weight([width], 1)]);
  return net.op('Add', [scaled, net.weight([width])]);
}

/** LayerNorm of opset 17. */
export function layerNorm(net: Net, x: string, width: number, epsilon = 1e-5): string {
  return net.op('LayerNormalization', [x, net.weight([width], 1), net.weight([width])], { axis: -1n, epsilon });
}

/** GELU by the error function. */
export function gelu(net: Net, x: string): string {
  const erf = net.op('Erf', [net.op('Div', [x, net.float(Math.SQRT2)])]);
  const product = net.op('Mul', [x, net.op('Add', [erf, net.float(1)])]);
  return net.op('Mul', [product, net.float(0.5)]);
}

export interface ConvParts {
  readonly from: number;
  readonly to: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly group?: number;
}

/** nn.Conv2d, padded so that stride 1 keeps the size. */
export function conv(net: Net, x: string, { from, to, kernel = 3, stride = 1, group = 1 }: ConvParts): string {
  const pad = BigInt(kernel >> 1);
  return net.op('Conv', [x, net.weight([to, from / group, kernel, kernel]), net.weight([to])], {
    dilations: [1n, 1n],
    group: BigInt(group),
    kernel_shape: [BigInt(kernel), BigInt(kernel)],
    pads: [pad, pad, pad, pad],
    strides: [BigInt(stride), BigInt(stride)],
  });
}

export function relu(net: Net, x: string): string {
  return net.op('Relu', [x]);
}

/** Self-attention of `heads` heads on [batch, sequence, width], its shapes taken from the input, as of transformers' BERT. */
export function attention(net: Net, x: string, width: number, heads: number, bias?: string): string {
  const size = width / heads;
  const [query, key, value] = ['query', 'key', 'value'].map((part) => {
    const projected = linear(net, x, width, width);
    const shape = sizes(net, sizeOf(net, projected, 0), sizeOf(net, projected, 1), heads, size);
    const split = net.op('Reshape', [projected, shape]);
    return net.op('Transpose', [split], { perm: part === 'key' ? [0n, 2n, 3n, 1n] : [0n, 2n, 1n, 3n] });
  }) as [string, string, string];
  const product = net.op('MatMul', [query, key]);
  const scaled = net.op('Div', [product, net.float(Math.sqrt(size))]);
  const scores = bias === undefined ? scaled : net.op('Add', [scaled, bias]);
  const mixed = net.op('MatMul', [net.op('Softmax', [scores], { axis: -1n }), value]);
  const turned = net.op('Transpose', [mixed], { perm: [0n, 2n, 1n, 3n] });
  const back = sizes(net, sizeOf(net, turned, 0), sizeOf(net, turned, 1), width);
  return linear(net, net.op('Reshape', [turned, back]), width, width);
}
