import { node } from '../../../functions/onnx/proto/build.ts';
import type { GraphProto, NodeProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { type Case, graphsOf } from './cases.ts';
import { floats, free, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { createNet, DYNAMO, inside, type Net, TORCH } from './net.ts';

const WIDTH = 4;
const out = (net: Net, x: string, shape: readonly (number | string)[] = ['batch', WIDTH]) =>
  net.output(x, 'float32', shape, 'output');

const rowsOf = () => free(floats([WIDTH], { special: false }), 'batch', WIDTH);

/** A branch of an If: it reads what is around it, and has no inputs. */
function branch(name: string, write: (net: Net) => string, shape?: readonly (number | string)[]): GraphProto {
  const net = createNet(name, inside(TORCH, `/${name}`));
  const result = write(net);
  net.output(net.op('Identity', [result]), 'float32', shape, `${name}/out`);
  return net.body();
}

function choose(net: Net, condition: string, then: (net: Net) => string, other: (net: Net) => string): string {
  return net.op('If', [condition], {
    then_branch: branch('then', then),
    else_branch: branch('else', other),
  });
}

/** Nodes of a function body, written as those of a net. */
function nodesOf(write: (net: Net) => void): readonly NodeProto[] {
  const net = createNet('function', { ...DYNAMO, constants: 'node', valueName: (op, index) => `${op}_${index}` });
  write(net);
  return net.nodes;
}

const LIBRARY = 'pkg.onnxscript.torch_lib';

/** A node that gives a value its name, at the end of a function. */
const named = (from: string, to: string) => node('Identity', [from], [to]);

/** LayerNorm, or the normalisation of each column by the whole batch, as a function. */
function defineNorm(net: Net, axis: number): void {
  const body = nodesOf((inner) => {
    const axes = inner.ints(axis);
    const mean = inner.op('ReduceMean', ['x', axes]);
    const centred = inner.op('Sub', ['x', mean]);
    const variance = inner.op('ReduceMean', [inner.op('Mul', [centred, centred]), axes]);
    const deviation = inner.op('Sqrt', [inner.op('Add', [variance, inner.float(1e-5)])]);
    inner.op('Add', [inner.op('Mul', [inner.op('Div', [centred, deviation]), 'weight']), 'bias']);
  });
  const nodes = [...body, named(body.at(-1)!.output[0]!, 'result')];
  const inputs = ['x', 'weight', 'bias'];
  net.define({ domain: LIBRARY, name: 'aten_layer_norm', inputs, outputs: ['result'], nodes, opsets: { '': 18 } });
}

/** A softmax along the axis that the caller names. */
function softmaxAlong(net: Net, x: string, dim: bigint): string {
  const nodes = [node('Softmax', ['self'], ['result'], { axis: { refersTo: 'dim', type: 'int' } })];
  const parts = { domain: LIBRARY, name: 'aten_softmax', inputs: ['self'], outputs: ['result'], attributes: ['dim'] };
  net.define({ ...parts, nodes, opsets: { '': 18 } });
  return net.op(`${LIBRARY}:aten_softmax`, [x], { dim });
}

/** Functions within functions: rank and whether it is 0, as onnxscript's torch_lib asks before it reduces. */
function defineRank(net: Net): void {
  const shape = {
    domain: `${LIBRARY}.common`,
    opsets: { '': 18, [`${LIBRARY}.common`]: 1 },
    inputs: ['input'],
    outputs: ['result'],
  };
  const rank = nodesOf((inner) => inner.op('Size', [inner.op('Shape', ['input'])]));
  net.define({ ...shape, name: 'Rank', nodes: [...rank, named(rank.at(-1)!.output[0]!, 'result')] });
  const scalar = nodesOf((inner) => {
    inner.op('Equal', [inner.op(`${LIBRARY}.common:Rank`, ['input']), inner.int(0)]);
  });
  net.define({ ...shape, name: 'IsScalar', nodes: [...scalar, named(scalar.at(-1)!.output[0]!, 'result')] });
}

const CASES: readonly Case[] = [
  {
    name: 'If of torch on a constant, Relu or Neg',
    inputs: { x: rowsOf() },
    write(net, x) {
      const condition = net.constant('bool', [], Uint8Array.of(1));
      out(
        net,
        choose(
          net,
          condition,
          (inner) => inner.op('Relu', [x!]),
          (inner) => inner.op('Neg', [x!]),
        ),
      );
    },
  },
  {
    name: 'If on the size of an axis that is no row',
    inputs: { x: rowsOf() },
    write(net, x) {
      const size = net.op('Gather', [net.op('Shape', [x!]), net.int(1)], { axis: 0n });
      const condition = net.op('Equal', [size, net.int(1)]);
      out(
        net,
        choose(
          net,
          condition,
          (inner) => inner.op('Neg', [x!]),
          (inner) => inner.op('Softmax', [x!], { axis: 1n }),
        ),
      );
    },
  },
  {
    name: 'If on the number of rows, as squeeze(0) exports it',
    operator: 'If',
    inputs: { x: rowsOf() },
    write(net, x) {
      const size = net.op('Gather', [net.op('Shape', [x!]), net.int(0)], { axis: 0n });
      const condition = net.op('Equal', [size, net.int(1)]);
      const squeezed = (inner: Net) => inner.op('Squeeze', [x!, inner.ints(0)]);
      net.output(
        choose(net, condition, squeezed, (inner) => inner.op('Identity', [x!])),
        'float32',
        undefined,
        'output',
      );
    },
  },
  {
    name: 'If on the largest value of the batch',
    operator: 'ReduceMax',
    inputs: { x: rowsOf() },
    write(net, x) {
      const most = net.op('ReduceMax', [net.op('Abs', [x!])], { keepdims: 0n });
      const condition = net.op('Greater', [most, net.float(3)]);
      const halved = (inner: Net) => inner.op('Mul', [x!, inner.float(0.5)]);
      out(
        net,
        choose(net, condition, halved, (inner) => inner.op('Identity', [x!])),
      );
    },
  },
  {
    name: 'If on the first row of a flag that each request sends',
    operator: 'Gather',
    inputs: { x: rowsOf(), flag: free(ids([], 2, { dtype: 'bool' }), 'batch') },
    write(net, x, flag) {
      const condition = net.op('Gather', [flag!, net.int(0)], { axis: 0n });
      out(
        net,
        choose(
          net,
          condition,
          (inner) => inner.op('Neg', [x!]),
          (inner) => inner.op('Identity', [x!]),
        ),
      );
    },
  },
  {
    name: 'Where by a flag of each row in place of an If',
    inputs: { x: rowsOf(), flag: free(ids([], 2, { dtype: 'bool' }), 'batch') },
    write(net, x, flag) {
      const wide = net.op('Unsqueeze', [flag!, net.ints(-1)]);
      out(net, net.op('Where', [wide, net.op('Neg', [x!]), x!]));
    },
  },
  {
    name: 'a mean of the batch in both branches of an If on a constant',
    operator: 'ReduceMean',
    inputs: { x: rowsOf() },
    write(net, x) {
      const condition = net.constant('bool', [], Uint8Array.of(0));
      const centred = (inner: Net) => inner.op('Sub', [x!, inner.op('ReduceMean', [x!], { axes: [0n], keepdims: 1n })]);
      out(net, choose(net, condition, centred, centred));
    },
  },
  {
    name: 'columns in a sequence, SplitToSequence on axis 1 and SequenceAt',
    inputs: { x: rowsOf() },
    write(net, x) {
      const parts = net.op('SplitToSequence', [x!, net.int(2)], { axis: 1n });
      const last = net.op('SequenceAt', [parts, net.int(1)]);
      out(net, net.op('Add', [last, net.op('SequenceAt', [parts, net.int(0)])]), ['batch', 2]);
    },
  },
  {
    name: 'rows in a sequence, SplitToSequence on axis 0 and SequenceAt',
    operator: 'SplitToSequence',
    inputs: { x: rowsOf() },
    write(net, x) {
      const parts = net.op('SplitToSequence', [x!, net.int(1)], { axis: 0n });
      out(net, net.op('Sub', [x!, net.op('SequenceAt', [parts, net.int(0)])]));
    },
  },
  {
    name: 'Dropout at inference',
    inputs: { x: rowsOf() },
    write(net, x) {
      const off = net.constant('bool', [], Uint8Array.of(0));
      out(net, net.op('Dropout', [x!, net.float(0.5), off]));
    },
  },
  {
    name: 'Dropout left in training mode',
    operator: 'Dropout',
    inputs: { x: rowsOf() },
    write(net, x) {
      const on = net.constant('bool', [], Uint8Array.of(1));
      out(net, net.op('Dropout', [x!, net.float(0.5), on]));
    },
  },
  {
    name: 'Bernoulli draws',
    operator: 'Bernoulli',
    inputs: { x: rowsOf() },
    write: (net, x) => out(net, net.op('Bernoulli', [net.op('Sigmoid', [x!])])),
  },
  {
    name: 'actions drawn by Multinomial',
    operator: 'Multinomial',
    inputs: { x: rowsOf() },
    write(net, x) {
      const drawn = net.op('Multinomial', [x!], { sample_size: 6n, dtype: 7n });
      net.output(drawn, 'int64', ['batch', 6], 'action');
    },
  },
];

const FUNCTION_CASES: readonly Case[] = [
  {
    name: 'LayerNorm as a function of torch_lib',
    inputs: { x: rowsOf() },
    write(net, x) {
      defineNorm(net, -1);
      out(net, net.op(`${LIBRARY}:aten_layer_norm`, [x!, net.weight([WIDTH], 1), net.weight([WIDTH])]));
    },
  },
  {
    name: 'normalisation by the batch as a function',
    operator: 'ReduceMean',
    inputs: { x: rowsOf() },
    write(net, x) {
      defineNorm(net, 0);
      out(net, net.op(`${LIBRARY}:aten_layer_norm`, [x!, net.weight([WIDTH], 1), net.weight([WIDTH])]));
    },
  },
  {
    name: 'softmax as a function, of the axis that the caller names',
    inputs: { x: rowsOf() },
    write: (net, x) => out(net, softmaxAlong(net, x!, 1n)),
  },
  {
    name: 'softmax as a function, of the axis of rows that the caller names',
    operator: 'Softmax',
    inputs: { x: rowsOf() },
    write: (net, x) => out(net, softmaxAlong(net, x!, 0n)),
  },
  {
    name: 'functions within functions: IsScalar decides an If',
    inputs: { x: rowsOf() },
    write(net, x) {
      defineRank(net);
      const scalar = net.op(`${LIBRARY}.common:IsScalar`, [x!]);
      const summed = (inner: Net) => inner.op('ReduceSum', [x!, inner.ints(1)], { keepdims: 1n });
      const wide = (inner: Net) => inner.op('Reshape', [x!, inner.ints(-1, 1)]);
      out(net, choose(net, scalar, wide, summed), ['batch', 1]);
    },
  },
  {
    name: 'a function called twice, on rows and on a constant',
    inputs: { x: rowsOf() },
    write(net, x) {
      const body = nodesOf((inner) => {
        inner.op('Tanh', [inner.op('Mul', ['input', inner.float(0.5)])]);
      });
      const nodes = [...body, named(body.at(-1)!.output[0]!, 'result')];
      net.define({
        domain: LIBRARY,
        name: 'half_tanh',
        inputs: ['input'],
        outputs: ['result'],
        nodes,
        opsets: { '': 18 },
      });
      const [rows, constant] = [x!, net.weight([WIDTH])].map((each) => net.op(`${LIBRARY}:half_tanh`, [each]));
      out(net, net.op('Add', [rows!, constant!]));
    },
  },
];

export const FUNCTIONS_AND_SUBGRAPHS: readonly ExportedGraph[] = [
  ...graphsOf('sub-graphs', TORCH, CASES),
  ...graphsOf('functions', DYNAMO, FUNCTION_CASES),
];
