import { initializer } from '../../../functions/onnx/proto/build.ts';
import type { GraphProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { type Case, graphsOf } from './cases.ts';
import { floats, free, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { createNet, inside, type Net, TORCH } from './net.ts';
import { gemm, linear, sizeOf, sizes } from './torch-parts.ts';

const IN = 3;
const HIDDEN = 4;
const STEPS = 5;
const GATES = { LSTM: 4, GRU: 3, RNN: 1 } as const;
type Kind = keyof typeof GATES;

/** Zeros [directions, rows, hidden], as torch makes them of the size of the input. */
function zeros(net: Net, directions: number, rows: string): string {
  return net.op('ConstantOfShape', [sizes(net, directions, rows, HIDDEN)], {
    value: initializer('', 'float32', [1], [0]),
  });
}

interface Options {
  readonly directions?: number;
  readonly states?: string;
  readonly lengths?: string;
}

/** [sequence, rows, in] -> Y [sequence, directions, rows, hidden], Y_h [directions, rows, hidden], and Y_c of an LSTM. */
function recurrent(net: Net, kind: Kind, x: string, { directions = 1, states, lengths = '' }: Options = {}): string[] {
  const width = GATES[kind] * HIDDEN;
  const weights = [[width, IN], [width, HIDDEN], [2 * width]].map((dims) => net.weight([directions, ...dims]));
  const initial = states === undefined ? [] : kind === 'LSTM' ? [states, states] : [states];
  const inputs = [x, ...weights, lengths, ...initial];
  return net.ops(kind, inputs, kind === 'LSTM' ? 3 : 2, {
    hidden_size: BigInt(HIDDEN),
    ...(directions === 2 && { direction: 'bidirectional' }),
    ...(kind === 'GRU' && { linear_before_reset: 1n }),
  });
}

const timeFirst = (net: Net, x: string) => net.op('Transpose', [x], { perm: [1n, 0n, 2n] });

/** The last step of [rows, sequence, hidden]. */
const lastStep = (net: Net, x: string) => net.op('Gather', [x, net.int(-1)], { axis: 1n });

const out = (net: Net, x: string, shape: readonly (number | string)[], name = 'output') =>
  net.output(x, 'float32', shape, name);

const batchFirst = () => free(floats([STEPS, IN]), 'batch', 'sequence', IN);

/** A step of an RNN, for Scan and Loop: x [rows, in] and h [rows, hidden] -> h. */
function cell(net: Net, x: string, h: string): string {
  return net.op('Tanh', [net.op('Add', [linear(net, x, IN, HIDDEN), linear(net, h, HIDDEN, HIDDEN)])]);
}

function scanBody(step: (net: Net, state: string, x: string) => string, dims: (number | string)[]): GraphProto {
  const net = createNet('scan_body', inside(TORCH, '/scan'));
  const state = net.input('scan/state_in', 'float32', dims);
  const x = net.input('scan/x', 'float32');
  const next = step(net, state, x);
  net.output(next, 'float32', dims, 'scan/state_out');
  net.output(net.op('Identity', [next]), 'float32', dims, 'scan/step');
  return net.body();
}

function loopBody(x: string): GraphProto {
  const net = createNet('loop_body', inside(TORCH, '/loop'));
  const at = net.input('loop/i', 'int64', []);
  const going = net.input('loop/cond_in', 'bool', []);
  const state = net.input('loop/h_in', 'float32', ['batch', HIDDEN]);
  net.output(net.op('Identity', [going]), 'bool', [], 'loop/cond_out');
  const next = cell(net, net.op('Gather', [x, at], { axis: 1n }), state);
  net.output(next, 'float32', ['batch', HIDDEN], 'loop/h_out');
  return net.body();
}

const initial = (net: Net, x: string) => net.op('Squeeze', [zeros(net, 1, sizeOf(net, x, 0)), net.ints(0)]);

const CASES: readonly Case[] = [
  {
    name: 'LSTM, batch_first, states of the size of the batch, last step',
    inputs: { input: batchFirst() },
    write(net, input) {
      const states = zeros(net, 1, sizeOf(net, input!, 0));
      const [steps] = recurrent(net, 'LSTM', timeFirst(net, input!), { states });
      const hidden = timeFirst(net, net.op('Squeeze', [steps!, net.ints(1)]));
      out(net, gemm(net, lastStep(net, hidden), HIDDEN, 2), ['batch', 2]);
    },
  },
  {
    name: 'LSTM, batch_first=False fed with rows first: the sequence is the axis of rows',
    operator: 'LSTM',
    inputs: { input: batchFirst() },
    write(net, input) {
      const states = zeros(net, 1, sizeOf(net, input!, 1));
      const [steps] = recurrent(net, 'LSTM', input!, { states });
      out(net, net.op('Squeeze', [steps!, net.ints(1)]), ['batch', 'sequence', HIDDEN]);
    },
  },
  {
    name: 'LSTM with its last states as outputs, [layers, batch, hidden]',
    operator: 'LSTM',
    inputs: { input: batchFirst() },
    write(net, input) {
      const [steps, state, memory] = recurrent(net, 'LSTM', timeFirst(net, input!));
      out(net, timeFirst(net, net.op('Squeeze', [steps!, net.ints(1)])), ['batch', 'sequence', HIDDEN]);
      out(net, state!, [1, 'batch', HIDDEN], 'hn');
      out(net, memory!, [1, 'batch', HIDDEN], 'cn');
    },
  },
  {
    name: 'GRU, bidirectional, both directions beside each other',
    inputs: { input: batchFirst() },
    write(net, input) {
      const states = zeros(net, 2, sizeOf(net, input!, 0));
      const [steps] = recurrent(net, 'GRU', timeFirst(net, input!), { directions: 2, states });
      const turned = net.op('Transpose', [steps!], { perm: [0n, 2n, 1n, 3n] });
      const beside = net.op('Reshape', [turned, net.ints(0, 0, -1)]);
      out(net, net.op('Transpose', [beside], { perm: [1n, 0n, 2n] }), ['batch', 'sequence', 2 * HIDDEN]);
    },
  },
  {
    name: 'GRU, bidirectional, both directions behind each other',
    operator: 'Concat',
    inputs: { input: batchFirst() },
    write(net, input) {
      const [, state] = recurrent(net, 'GRU', timeFirst(net, input!), { directions: 2 });
      const [left, right] = net.ops('Split', [state!, net.ints(1, 1)], 2, { axis: 0n });
      const parts = [left!, right!].map((one) => net.op('Squeeze', [one, net.ints(0)]));
      out(net, net.op('Concat', parts, { axis: 0n }), ['rows', HIDDEN]);
    },
  },
  {
    name: 'RNN, tanh, last state',
    inputs: { input: batchFirst() },
    write(net, input) {
      const [, state] = recurrent(net, 'RNN', timeFirst(net, input!));
      out(net, gemm(net, net.op('Squeeze', [state!, net.ints(0)]), HIDDEN, 1), ['batch', 1]);
    },
  },
  {
    name: 'RNN over rows, last state',
    operator: 'RNN',
    inputs: { input: floats([IN]) },
    write(net, input) {
      const [steps] = recurrent(net, 'RNN', net.op('Unsqueeze', [input!, net.ints(1)]));
      out(net, net.op('Squeeze', [steps!, net.ints(1, 2)]), ['batch', HIDDEN]);
    },
  },
  {
    name: 'LSTM with a length for each row',
    inputs: { input: batchFirst(), lengths: ids([], STEPS + 1, { from: 1, dtype: 'int32' }) },
    write(net, input, lengths) {
      const [, state] = recurrent(net, 'LSTM', timeFirst(net, input!), { lengths: lengths! });
      out(net, net.op('Squeeze', [state!, net.ints(0)]), ['batch', HIDDEN]);
    },
  },
  {
    name: 'cell in a Scan over axis 1, with a state of each row',
    inputs: { input: batchFirst() },
    write(net, input) {
      const attributes = {
        body: scanBody((inner, state, x) => cell(inner, x, state), ['batch', HIDDEN]),
        num_scan_inputs: 1n,
        scan_input_axes: [1n],
        scan_output_axes: [1n],
      };
      const [last, steps] = net.ops('Scan', [initial(net, input!), input!], 2, attributes);
      out(net, last!, ['batch', HIDDEN], 'last');
      out(net, steps!, ['batch', 'sequence', HIDDEN]);
    },
  },
  {
    name: 'running sum in a Scan over the rows',
    operator: 'Scan',
    inputs: { input: floats([IN], { special: false }) },
    write(net, input) {
      const attributes = {
        body: scanBody((inner, state, x) => inner.op('Add', [state, x]), [IN]),
        num_scan_inputs: 1n,
      };
      const [, steps] = net.ops('Scan', [net.weight([IN]), input!], 2, attributes);
      out(net, steps!, ['batch', IN]);
    },
  },
  {
    // skl2onnx writes the distances of KNeighbors and GaussianProcess so where CDist is not wanted.
    name: 'distances of each row to a constant in a Scan over the rows, whose state does not change',
    inputs: { input: floats([IN]) },
    write(net, input) {
      const inner = createNet('cdist', inside(TORCH, '/cdist'));
      const state = inner.input('cdist/next_in', 'float32', [4, IN]);
      const row = inner.input('cdist/next', 'float32', [IN]);
      inner.output(inner.op('Identity', [state]), 'float32', [4, IN], 'cdist/next_out');
      const difference = inner.op('Sub', [state, row]);
      const squares = inner.op('ReduceSumSquare', [difference], { axes: [1n], keepdims: 0n });
      inner.output(squares, 'float32', [4], 'cdist/scan_out');
      const [, steps] = net.ops('Scan', [net.weight([4, IN]), input!], 2, { body: inner.body(), num_scan_inputs: 1n });
      out(net, steps!, ['batch', 4]);
    },
  },
  {
    name: 'cell in a Loop over a fixed number of steps',
    inputs: { input: batchFirst() },
    write(net, input) {
      const body = loopBody(input!);
      const going = net.constant('bool', [], Uint8Array.of(1));
      const last = net.op('Loop', [net.int(STEPS), going, initial(net, input!)], { body });
      out(net, last, ['batch', HIDDEN]);
    },
  },
  {
    name: 'cell in a Loop over as many steps as the input has',
    inputs: { input: batchFirst() },
    write(net, input) {
      const body = loopBody(input!);
      const going = net.constant('bool', [], Uint8Array.of(1));
      const last = net.op('Loop', [sizeOf(net, input!, 1), going, initial(net, input!)], { body });
      out(net, last, ['batch', HIDDEN]);
    },
  },
  {
    name: 'cell in a Loop over as many steps as the longest row of the batch has',
    operator: 'ReduceMax',
    inputs: { input: batchFirst(), lengths: ids([], STEPS + 1, { from: 1 }) },
    write(net, input, lengths) {
      const body = loopBody(input!);
      const longest = net.op('ReduceMax', [lengths!], { keepdims: 0n });
      const going = net.constant('bool', [], Uint8Array.of(1));
      out(net, net.op('Loop', [longest, going, initial(net, input!)], { body }), ['batch', HIDDEN]);
    },
  },
  {
    name: 'x halved in a Loop until the largest of the batch is small',
    operator: 'ReduceMax',
    inputs: { input: floats([2], { special: false }) },
    write(net, input) {
      const inner = createNet('loop_body', inside(TORCH, '/loop'));
      inner.input('loop/i', 'int64', []);
      inner.input('loop/cond_in', 'bool', []);
      const x = inner.input('loop/x_in', 'float32', ['batch', 2]);
      const half = inner.op('Mul', [x, inner.float(0.5)]);
      const most = inner.op('ReduceMax', [inner.op('Abs', [half])], { keepdims: 0n });
      inner.output(inner.op('Greater', [most, inner.float(1)]), 'bool', [], 'loop/cond_out');
      inner.output(half, 'float32', ['batch', 2], 'loop/x_out');
      const going = net.constant('bool', [], Uint8Array.of(1));
      out(net, net.op('Loop', [net.int(20), going, input!], { body: inner.body() }), ['batch', 2]);
    },
  },
];

/** tf2onnx: states by Expand, the last one squeezed out of Y_h. */
const TF2ONNX_LSTM: Case = {
  name: 'LSTM of tf2onnx, Expand of the states, Y_h squeezed',
  inputs: { lstm_input: batchFirst() },
  write(net, input) {
    const turned = timeFirst(net, input!);
    const rows = net.op('Slice', [net.op('Shape', [turned]), net.ints(1), net.ints(2), net.ints(0)]);
    const shape = net.op('Concat', [net.ints(1), rows, net.ints(HIDDEN)], { axis: 0n });
    const states = net.op('Expand', [net.constant('float32', [1, 1, 1], [0]), shape]);
    const [, state] = recurrent(net, 'LSTM', turned, { states });
    out(net, linear(net, net.op('Squeeze', [state!, net.ints(0)]), HIDDEN, 1), ['batch', 1]);
  },
};

export const RECURRENT: readonly ExportedGraph[] = graphsOf('recurrent', TORCH, [...CASES, TF2ONNX_LSTM]);
