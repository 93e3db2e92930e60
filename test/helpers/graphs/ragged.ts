import { type Case, graphsOf } from './cases.ts';
import { floats, free, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { gemm, linear } from './torch-parts.ts';

/** Outputs with another number of rows than was fed: ragged, flattened, one for all, or none of the rows' own. */
type Finish = (net: Net, x: string) => void;

const CASES: [name: string, operator: string | undefined, finish: Finish][] = [
  ['logits of each row', undefined, (net, x) => net.output(x, 'float32', ['batch', 8], 'output')],
  [
    'rows and columns in one list, Reshape [-1]',
    'Reshape',
    (net, x) => net.output(net.op('Reshape', [x, net.ints(-1)]), 'float32', ['M'], 'output'),
  ],
  [
    'half a row each, Reshape [-1,4]',
    'Reshape',
    (net, x) => net.output(net.op('Reshape', [x, net.ints(-1, 4)]), 'float32', ['M', 4], 'output'),
  ],
  [
    'two halves of a row, Reshape [-1,2,4]',
    undefined,
    (net, x) => net.output(net.op('Reshape', [x, net.ints(-1, 2, 4)]), 'float32', ['batch', 2, 4], 'output'),
  ],
  [
    'halves of rows and back, Reshape [-1,4] and [-1,8]',
    undefined,
    (net, x) => {
      const halves = net.op('Softmax', [net.op('Reshape', [x, net.ints(-1, 4)])], { axis: -1n });
      net.output(net.op('Reshape', [halves, net.ints(-1, 8)]), 'float32', ['batch', 8], 'output');
    },
  ],
  [
    'all rows in one, Reshape [1,-1]',
    'Reshape',
    (net, x) => net.output(net.op('Reshape', [x, net.ints(1, -1)]), 'float32', [1, 'M'], 'output'),
  ],
  [
    'Flatten from axis 1',
    undefined,
    (net, x) => {
      const cube = net.op('Reshape', [x, net.ints(0, 2, -1)]);
      net.output(net.op('Flatten', [cube], { axis: 1n }), 'float32', ['batch', 8], 'output');
    },
  ],
  [
    'Flatten from axis 0',
    'Flatten',
    (net, x) => net.output(net.op('Flatten', [x], { axis: 0n }), 'float32', [1, 'M'], 'output'),
  ],
  [
    'indices of positive logits, NonZero',
    'NonZero',
    (net, x) => {
      const at = net.op('NonZero', [net.op('Greater', [x, net.float(0)])]);
      net.output(net.op('Transpose', [at], { perm: [1n, 0n] }), 'int64', ['M', 2], 'output');
    },
  ],
  [
    'positive logits, boolean mask by NonZero and GatherND',
    'NonZero',
    (net, x) => {
      const at = net.op('Transpose', [net.op('NonZero', [net.op('Greater', [x, net.float(0)])])], { perm: [1n, 0n] });
      net.output(net.op('GatherND', [x, at]), 'float32', ['M'], 'output');
    },
  ],
  [
    'logits with the negative ones zero, Where',
    undefined,
    (net, x) => {
      const positive = net.op('Greater', [x, net.float(0)]);
      net.output(net.op('Where', [positive, x, net.float(0)]), 'float32', ['batch', 8], 'output');
    },
  ],
  [
    'rows with a positive first logit, Compress of axis 0',
    'Compress',
    (net, x) => {
      const first = net.op('Gather', [x, net.int(0)], { axis: 1n });
      const kept = net.op('Compress', [x, net.op('Greater', [first, net.float(0)])], { axis: 0n });
      net.output(kept, 'float32', ['M', 8], 'output');
    },
  ],
  [
    'every second logit, Compress of axis 1 by a constant',
    undefined,
    (net, x) => {
      const every = net.constant('bool', [8], Uint8Array.of(1, 0, 1, 0, 1, 0, 1, 0));
      net.output(net.op('Compress', [x, every], { axis: 1n }), 'float32', ['batch', 4], 'output');
    },
  ],
  [
    'different labels of the batch, Unique',
    'Unique',
    (net, x) => {
      const label = net.op('ArgMax', [x], { axis: 1n, keepdims: 0n });
      net.output(net.op('Unique', [label], { sorted: 1n }), 'int64', ['M'], 'output');
    },
  ],
  [
    'loss of the batch, ReduceMean to a scalar',
    'ReduceMean',
    (net, x) => net.output(net.op('ReduceMean', [x], { keepdims: 0n }), 'float32', [], 'output'),
  ],
  [
    'score of the batch, ReduceMax and Unsqueeze to [1]',
    'ReduceMax',
    (net, x) => {
      const most = net.op('ReduceMax', [x], { keepdims: 0n });
      net.output(net.op('Unsqueeze', [most, net.ints(0)]), 'float32', [1], 'output');
    },
  ],
  [
    'row score, Squeeze of axis 1',
    undefined,
    (net, x) => {
      const column = net.op('ReduceMax', [x], { axes: [1n], keepdims: 1n });
      net.output(net.op('Squeeze', [column, net.ints(1)]), 'float32', ['batch'], 'output');
    },
  ],
  [
    'row score, Squeeze of all axes of size 1, which a lone row loses too',
    'Squeeze',
    (net, x) => {
      const column = net.op('ReduceMax', [x], { axes: [1n], keepdims: 1n });
      net.output(net.op('Squeeze', [column]), 'float32', undefined, 'output');
    },
  ],
  [
    'logits and a constant list of anchors',
    undefined,
    (net, x) => {
      net.output(x, 'float32', ['batch', 8], 'output');
      net.output(net.op('Identity', [net.weight([5, 2])]), 'float32', [5, 2], 'anchors');
    },
  ],
  [
    'logits and the number of rows',
    'Shape',
    (net, x) => {
      net.output(x, 'float32', ['batch', 8], 'output');
      net.output(net.op('Shape', [x]), 'int64', [2], 'shape');
    },
  ],
  [
    'row transposed to columns',
    'Transpose',
    (net, x) => net.output(net.op('Transpose', [x], { perm: [1n, 0n] }), 'float32', [8, 'batch'], 'output'),
  ],
];

/** What decides is that an output is no row's own: no operator does. */
const CONSTANT_OUTPUT = 'logits and a constant list of anchors';

const TOKEN_CASES: [name: string, operator: string | undefined, finish: Finish][] = [
  ['logits of each token', undefined, (net, x) => net.output(x, 'float32', ['batch', 'sequence', 4], 'logits')],
  [
    'tokens of all rows in one list, Reshape [-1,4]',
    'Reshape',
    (net, x) => net.output(net.op('Reshape', [x, net.ints(-1, 4)]), 'float32', ['M', 4], 'logits'),
  ],
  [
    'tokens in one list for the classifier, and back by the shape',
    undefined,
    (net, x) => {
      const size = (axis: number) => {
        const one = net.op('Gather', [net.op('Shape', [x]), net.int(axis)], { axis: 0n });
        return net.op('Unsqueeze', [one, net.ints(0)]);
      };
      const flat = net.op('Reshape', [x, net.ints(-1, 4)]);
      const scores = net.op('Gemm', [flat, net.weight([3, 4]), net.weight([3])], { transB: 1n });
      const shape = net.op('Concat', [size(0), size(1), net.ints(3)], { axis: 0n });
      net.output(net.op('Reshape', [scores, shape]), 'float32', ['batch', 'sequence', 3], 'logits');
    },
  ],
  [
    'labels of all tokens in one list, ArgMax and Reshape [-1]',
    'Reshape',
    (net, x) => {
      const labels = net.op('ArgMax', [x], { axis: -1n, keepdims: 0n });
      net.output(net.op('Reshape', [labels, net.ints(-1)]), 'int64', ['M'], 'labels');
    },
  ],
  [
    'sequence first, Transpose [1,0,2]',
    'Transpose',
    (net, x) => {
      const turned = net.op('Transpose', [x], { perm: [1n, 0n, 2n] });
      net.output(turned, 'float32', ['sequence', 'batch', 4], 'logits');
    },
  ],
];

const logits = (net: Net, x: string) => gemm(net, x, 6, 8);

function tokenLogits(net: Net, x: string): string {
  const hidden = net.op('Gather', [net.weight([20, 6]), x]);
  return linear(net, hidden, 6, 4);
}

const toCase =
  (inputs: (mixed: boolean) => Case['inputs'], head: (net: Net, x: string) => string) =>
  ([name, operator, finish]: (typeof CASES)[number]): Case => {
    const mixed = operator !== undefined || name === CONSTANT_OUTPUT;
    return {
      name,
      verdict: mixed ? 'mixed' : 'proved',
      ...(operator !== undefined && { operator }),
      inputs: inputs(mixed),
      write: (net, x) => finish(net, head(net, x!)),
    };
  };

export const RAGGED: readonly ExportedGraph[] = graphsOf('torch legacy', TORCH, [
  ...CASES.map(toCase((mixed) => ({ input: floats([6], { special: !mixed }) }), logits)),
  ...TOKEN_CASES.map(toCase(() => ({ input_ids: free(ids([5], 20), 'batch', 'sequence') }), tokenLogits)),
]);
