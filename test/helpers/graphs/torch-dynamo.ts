import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, free, ids, mask } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { DYNAMO, type Net } from './net.ts';

/** What the dynamo exporter writes: shapes folded to constants with -1, or Shape(start, end) of one axis. */
const WIDTH = 8;
const FLOAT = 1n;

const rows = (net: Net, x: string) => net.op('Shape', [x], { start: 0n, end: 1n });
const axisSize = (net: Net, x: string, axis: number) =>
  net.op('Shape', [x], { start: BigInt(axis), end: BigInt(axis + 1) });

/** A Reshape whose shape holds a size of the batch. */
function view(net: Net, x: string, ...list: (string | number)[]): string {
  const shape = list.map((one) => (typeof one === 'number' ? net.ints(one) : one));
  return net.op('Reshape', [x, net.op('Concat', shape, { axis: 0n })], { allowzero: 1n });
}

function linear(net: Net, x: string, from: number, to: number): string {
  return net.op('Add', [net.op('MatMul', [x, net.weight([from, to])]), net.weight([to])]);
}

const gemm = (net: Net, x: string, from: number, to: number) =>
  net.op('Gemm', [x, net.weight([to, from]), net.weight([to])], { beta: 1, transB: 1n, alpha: 1, transA: 0n });

const norm = (net: Net, x: string) =>
  net.op('LayerNormalization', [x, net.weight([WIDTH], 1), net.weight([WIDTH])], {
    stash_type: 1n,
    epsilon: 1e-5,
    axis: -1n,
  });

/** scaled_dot_product_attention, decomposed; shapes [-1, 4, 2, 4], folded, where the length is fixed. */
function attention(net: Net, x: string, length: number, bias?: string): string {
  const [query, key, value] = [0, 1, 2].map((at) => {
    const split = net.op('Reshape', [linear(net, x, WIDTH, WIDTH), net.ints(-1, length, 2, 4)], { allowzero: 1n });
    return net.op('Transpose', [split], { perm: at === 1 ? [0n, 2n, 3n, 1n] : [0n, 2n, 1n, 3n] });
  }) as [string, string, string];
  const root = net.float(Math.SQRT1_2);
  const product = net.op('MatMul', [net.op('Mul', [query, root]), net.op('Mul', [key, root])]);
  const scores = bias === undefined ? product : net.op('Add', [product, bias]);
  const seen = net.op('MatMul', [net.op('Softmax', [scores], { axis: -1n }), value]);
  const back = net.op('Transpose', [seen], { perm: [0n, 2n, 1n, 3n] });
  return linear(net, net.op('Reshape', [back, net.ints(-1, length, WIDTH)], { allowzero: 1n }), WIDTH, WIDTH);
}

/** The lower triangle of [length, length], of a length that the caller chooses. */
function causal(net: Net, x: string): string {
  const length = net.op('Squeeze', [axisSize(net, x, 1)]);
  const range = net.op('Range', [net.int(0), length, net.int(1)]);
  const later = net.op('Greater', [
    net.op('Unsqueeze', [range, net.ints(0)]),
    net.op('Unsqueeze', [range, net.ints(1)]),
  ]);
  return net.op('Where', [later, net.float(-1e9), net.float(0)]);
}

const out = (net: Net, x: string, shape: readonly (number | string)[], name = 'output') =>
  net.output(x, 'float32', shape, name);

const hidden = (length: number): Feed => free(floats([length, WIDTH]), 's77', length, WIDTH);
const tokens: Feed = free(ids([5], 20), 's77', 's53');

const CASES: readonly Case[] = [
  {
    name: 'MLP with a view by Shape(start=0, end=1)',
    inputs: { x: free(floats([2, 3]), 's77', 2, 3) },
    write(net, x) {
      const flat = view(net, x!, rows(net, x!), 6);
      out(net, gemm(net, net.op('Relu', [gemm(net, flat, 6, 8)]), 8, 2), ['s77', 2], 'linear_1');
    },
  },
  {
    name: 'view of all rows in one by Shape(start=0, end=1), [1, rows * 3]',
    operator: 'Reshape',
    inputs: { x: free(floats([3]), 's77', 3) },
    write(net, x) {
      const product = net.op('Mul', [rows(net, x!), net.ints(3)]);
      out(net, view(net, x!, 1, product), [1, '3*s77'], 'view');
    },
  },
  {
    name: 'attention with folded shapes, [-1, 4, 2, 4]',
    inputs: { x: hidden(4) },
    write(net, x) {
      out(net, net.op('Add', [attention(net, norm(net, x!), 4), x!]), ['s77', 4, WIDTH]);
    },
  },
  {
    name: 'attention with folded shapes of two rows each, [-1, 8, 2, 4]',
    operator: 'Reshape',
    inputs: { x: hidden(4) },
    write: (net, x) =>
      out(net, attention(net, net.op('Tile', [norm(net, x!), net.ints(1, 2, 1)]), 4), ['s77', 8, WIDTH]),
  },
  {
    name: 'decoder with a causal mask from Range',
    inputs: { input_ids: tokens, attention_mask: free(mask(5), 's77', 's53') },
    write(net, inputIds, attentionMask) {
      const x = net.op('Gather', [net.weight([20, WIDTH], 1), inputIds!], { axis: 0n });
      const scores = net.op('MatMul', [linear(net, x, WIDTH, WIDTH), net.op('Transpose', [x], { perm: [0n, 2n, 1n] })]);
      const kept = net.op('Cast', [net.op('Unsqueeze', [attentionMask!, net.ints(1)])], { to: FLOAT });
      const padding = net.op('Mul', [net.op('Sub', [net.float(1), kept]), net.float(-1e9)]);
      const biased = net.op('Add', [net.op('Add', [scores, causal(net, inputIds!)]), padding]);
      const seen = net.op('MatMul', [net.op('Softmax', [biased], { axis: -1n }), x]);
      out(net, net.op('MatMul', [norm(net, seen), net.weight([WIDTH, 20])]), ['s77', 's53', 20], 'logits');
    },
  },
  {
    name: 'attention of all rows as one sequence',
    operator: 'MatMul',
    inputs: { x: floats([WIDTH], { special: false }) },
    write(net, x) {
      const keys = net.op('Transpose', [linear(net, x!, WIDTH, WIDTH)], { perm: [1n, 0n] });
      const shares = net.op('Softmax', [net.op('MatMul', [x!, keys])], { axis: -1n });
      out(net, net.op('MatMul', [shares, x!]), ['s77', WIDTH]);
    },
  },
  {
    name: 'opset 23: Attention and RMSNormalization',
    inputs: { x: hidden(4) },
    write(net, x) {
      const normal = net.op('RMSNormalization', [x!, net.weight([WIDTH], 1)], { axis: -1n, epsilon: 1e-6 });
      const parts = [0, 1, 2].map(() => net.op('MatMul', [normal, net.weight([WIDTH, WIDTH])]));
      const seen = net.op('Attention', parts, { q_num_heads: 2n, kv_num_heads: 2n, is_causal: 1n });
      out(net, net.op('Add', [seen, x!]), ['s77', 4, WIDTH]);
    },
    style: { opset: 23, irVersion: 11 },
  },
  {
    name: 'opset 23: Attention over the rows',
    operator: 'Attention',
    inputs: { x: floats([WIDTH], { special: false }) },
    write(net, x) {
      const one = net.op('Unsqueeze', [x!, net.ints(0)]);
      const parts = [0, 1, 2].map(() => net.op('MatMul', [one, net.weight([WIDTH, WIDTH])]));
      const seen = net.op('Attention', parts, { q_num_heads: 2n, kv_num_heads: 2n });
      out(net, net.op('Squeeze', [seen, net.ints(0)]), ['s77', WIDTH]);
    },
    style: { opset: 23, irVersion: 11 },
  },
  {
    name: 'GRU cells unrolled, one Slice a step',
    inputs: { x: free(floats([3, 2]), 's77', 3, 2) },
    write(net, x) {
      let state = net.op('Expand', [net.float(0), net.op('Concat', [rows(net, x!), net.ints(4)], { axis: 0n })]);
      for (let step = 0; step < 3; step++) {
        const slice = net.op('Slice', [x!, net.ints(step), net.ints(step + 1), net.ints(1)]);
        const at = net.op('Squeeze', [slice, net.ints(1)]);
        const gate = net.op('Sigmoid', [net.op('Add', [linear(net, at, 2, 4), linear(net, state, 4, 4)])]);
        const next = net.op('Tanh', [linear(net, net.op('Concat', [at, state], { axis: 1n }), 6, 4)]);
        const kept = net.op('Mul', [net.op('Sub', [net.float(1), gate]), state]);
        state = net.op('Add', [kept, net.op('Mul', [gate, next])]);
      }
      out(net, state, ['s77', 4]);
    },
  },
  {
    name: 'sum(dim=0) and unsqueeze',
    operator: 'ReduceSum',
    inputs: { x: free(floats([4]), 's77', 4) },
    write: (net, x) => out(net, net.op('ReduceSum', [gemm(net, x!, 4, 3), net.ints(0)], { keepdims: 1n }), [1, 3]),
  },
  {
    name: 'amax(dim=1), opset 18: axes as an input',
    inputs: { x: free(floats([4, 2]), 's77', 4, 2) },
    write: (net, x) => out(net, net.op('ReduceMax', [x!, net.ints(1)], { keepdims: 0n }), ['s77', 2]),
  },
  {
    name: 'roll of the batch, Slice and Concat of axis 0',
    operator: 'Slice',
    inputs: { x: free(floats([2]), 's77', 2) },
    write(net, x) {
      const parts = [
        [-1, Number.MAX_SAFE_INTEGER],
        [0, -1],
      ].map(([from, to]) => net.op('Slice', [x!, net.ints(from!), net.ints(to!), net.ints(0)]));
      out(net, net.op('Concat', parts, { axis: 0n }), ['s77', 2]);
    },
  },
  {
    name: 'roll of each row, Slice and Concat of axis 1',
    inputs: { x: free(floats([4]), 's77', 4) },
    write(net, x) {
      const parts = [
        [-1, Number.MAX_SAFE_INTEGER],
        [0, -1],
      ].map(([from, to]) => net.op('Slice', [x!, net.ints(from!), net.ints(to!), net.ints(1)]));
      out(net, net.op('Concat', parts, { axis: 1n }), ['s77', 4]);
    },
  },
  {
    name: 'rows reversed, Slice of axis 0 with step -1',
    operator: 'Slice',
    inputs: { x: free(floats([2]), 's77', 2) },
    write(net, x) {
      const ends = [net.ints(-1), net.ints(Number.MIN_SAFE_INTEGER), net.ints(0), net.ints(-1)];
      out(net, net.op('Slice', [x!, ...ends]), ['s77', 2]);
    },
  },
];

/** nn.TransformerEncoderLayer keeps the sequence first inside: [length, rows * heads, size], then [length * rows, width]. */
const ENCODER: Case = {
  name: 'nn.MultiheadAttention, batch_first: rows and heads in one axis behind the sequence',
  inputs: { x: hidden(4) },
  write(net, x) {
    const first = net.op('Transpose', [x!], { perm: [1n, 0n, 2n] });
    const count = rows(net, x!);
    const heads = net.op('Mul', [count, net.ints(2)]);
    const [query, key, value] = [0, 1, 2].map(() => {
      const split = view(net, linear(net, first, WIDTH, WIDTH), 4, heads, 4);
      return net.op('Transpose', [split], { perm: [1n, 0n, 2n] });
    }) as [string, string, string];
    const keys = net.op('Transpose', [key], { perm: [0n, 2n, 1n] });
    const scores = net.op('Mul', [net.op('MatMul', [query, keys]), net.float(0.5)]);
    const seen = net.op('MatMul', [net.op('Softmax', [scores], { axis: -1n }), value]);
    const back = net.op('Transpose', [seen], { perm: [1n, 0n, 2n] });
    const flat = view(net, back, net.op('Mul', [count, net.ints(4)]), WIDTH);
    const projected = view(net, gemm(net, flat, WIDTH, WIDTH), 4, count, WIDTH);
    out(net, net.op('Transpose', [projected], { perm: [1n, 0n, 2n] }), ['s77', 4, WIDTH]);
  },
};

export const TORCH_DYNAMO: readonly ExportedGraph[] = graphsOf('torch dynamo', DYNAMO, [...CASES, ENCODER]);
