import { graph, initializer, node, value } from '../../../functions/onnx/proto/build.ts';
import { type Attributes, createNet, type Net } from '../graphs/net.ts';
import { type LookAlike, numbersOfRows, STYLE, x } from './parts.ts';

/** Rows as they are where a condition holds, and their mean where it does not. */
function keepsApartWhere(net: Net, condition: string, from: string): string {
  const branch = (operator: string, attributes: Attributes) =>
    graph({
      name: operator,
      nodes: [node(operator, [from], [`${operator}_out`], attributes)],
      inputs: [],
      outputs: [value(`${operator}_out`, 'float32')],
    });
  const chosen = net.op('If', [condition], {
    then_branch: branch('Relu', {}),
    else_branch: branch('ReduceMean', { axes: [0n], keepdims: 1n }),
  });
  return net.op('Add', [from, chosen]);
}

export const CONTROL_FLOW: readonly LookAlike[] = [
  {
    title: 'a scan that goes through the rows backwards',
    write(net) {
      const body = graph({
        name: 'body',
        nodes: [node('Relu', ['a'], ['b'])],
        inputs: [value('a', 'float32', [4])],
        outputs: [value('b', 'float32', [4])],
      });
      return net.op('Scan', [x(net, 4)], { body, num_scan_inputs: 1n, scan_input_directions: [1n] });
    },
  },
  {
    title: 'a scan through the rows that gives for each as many numbers as the row says',
    write(net) {
      const body = graph({
        name: 'body',
        nodes: [node('NonZero', ['a'], ['b']), node('Cast', ['b'], ['c'], { to: 1n })],
        inputs: [value('a', 'float32', [4])],
        outputs: [value('c', 'float32', [1, 'k'])],
      });
      return net.op('Scan', [x(net, 4)], { body, num_scan_inputs: 1n });
    },
  },
  {
    title: 'a scan through a list as long as the run has rows',
    write(net) {
      const from = x(net, 4);
      const body = graph({
        name: 'body',
        nodes: [node('Add', ['s', 's'], ['t'])],
        inputs: [value('s', 'float32'), value('a', 'float32', [])],
        outputs: [value('t', 'float32')],
      });
      return net.op('Scan', [from, numbersOfRows(net, from)], { body, num_scan_inputs: 1n });
    },
  },
  {
    title: 'numbers of rows that a loop stacks',
    write(net) {
      const rows = net.op('Squeeze', [net.op('Slice', [net.op('Shape', [x(net, 4)]), net.ints(0), net.ints(1)])]);
      const places = net.op('Range', [net.int(0), rows, net.int(1)]);
      const body = graph({
        name: 'body',
        nodes: [node('Identity', ['go'], ['on']), node('Identity', [places], ['o'])],
        inputs: [value('i', 'int64', []), value('go', 'bool', [])],
        outputs: [value('on', 'bool', []), value('o', 'int64')],
      });
      return net.op('Transpose', [net.op('Loop', [net.int(2), ''], { body })]);
    },
  },
  {
    title: 'an initializer of a body under the name of its input, which is only the default',
    write(net) {
      const inner = createNet('inner', STYLE);
      const hidden = inner.table('float32', [1, 4], [0, 0, 0, 0]);
      const mean = inner.op('ReduceMean', [hidden], { axes: [0n] });
      const body = inner.body();
      const loop = graph({
        name: 'body',
        nodes: [...body.node, node('Identity', ['go'], ['on']), node('Identity', [hidden], ['kept'])],
        initializers: body.initializer,
        inputs: [value('i', 'int64', []), value('go', 'bool', []), value(hidden, 'float32')],
        outputs: [value('on', 'bool', []), value('kept', 'float32'), value(mean, 'float32')],
      });
      const from = x(net, 4);
      const [, means] = net.ops('Loop', [net.int(1), '', from], 2, { body: loop });
      return net.op('Add', [from, net.op('Reshape', [means!, net.ints(1, 4)])]);
    },
  },
  {
    title: 'a SequenceMap that sees the rows in its body alone',
    write(net) {
      const from = x(net, 4);
      const body = graph({
        name: 'body',
        nodes: [node('ReduceMean', [from], ['o'], { axes: [0n], keepdims: 1n })],
        inputs: [value('a', 'float32')],
        outputs: [value('o', 'float32')],
      });
      const list = net.op('SequenceConstruct', [net.table('float32', [1], [0])]);
      const all = net.op('ConcatFromSequence', [net.op('SequenceMap', [list], { body })], { axis: 0n });
      return net.op('Add', [from, net.op('Reshape', [all, net.ints(1, 4)])]);
    },
  },
  {
    title: 'a function that reads a value before its node gives it',
    write(net) {
      net.define({
        domain: 'local',
        name: 'F',
        inputs: ['a'],
        outputs: ['c'],
        nodes: [node('Add', ['a', 'b'], ['c']), node('ReduceMean', ['a'], ['b'], { axes: [0n] })],
        opsets: { '': 17 },
      });
      return net.op('local:F', [x(net, 4)]);
    },
  },
  {
    title: 'a function of operator set 13 in a model of 12, which onnxruntime runs as of 12',
    style: { opset: 12 },
    write(net) {
      net.define({
        domain: 'local',
        name: 'F',
        inputs: ['a'],
        outputs: ['b'],
        nodes: [node('Softmax', ['a'], ['b'], { axis: 0n })],
        opsets: { '': 13 },
      });
      const turned = net.op('Transpose', [x(net, 4)], { perm: [1n, 0n] });
      return net.op('Transpose', [net.op('local:F', [turned])], { perm: [1n, 0n] });
    },
  },
  {
    title: 'a function that is called constructor',
    write(net) {
      net.define({
        domain: '',
        name: 'constructor',
        inputs: ['a'],
        outputs: ['b'],
        nodes: [node('ReduceMean', ['a'], ['b'], { axes: [0n] })],
        opsets: { '': 17 },
      });
      const from = x(net, 4);
      return net.op('Add', [from, net.op('Reshape', [net.op('constructor', [from]), net.ints(1, 4)])]);
    },
  },
  {
    title: 'a function under the name of an operator',
    write(net) {
      net.define({
        domain: '',
        name: 'Relu',
        inputs: ['a'],
        outputs: ['b'],
        nodes: [node('Abs', ['a'], ['b'])],
        opsets: { '': 17 },
      });
      return net.op('Relu', [x(net, 4)]);
    },
  },
  {
    title: 'a difference of sizes that may be negative',
    write(net) {
      const from = x(net, 'time');
      const time = net.op('Slice', [net.op('Shape', [from]), net.ints(1), net.ints(2)]);
      const isLong = net.op('Greater', [net.op('Sub', [time, net.ints(10)]), net.ints(-1)]);
      return keepsApartWhere(net, isLong, from);
    },
  },
  {
    title: 'a product that is rounded up as a float32',
    write(net) {
      const seven = net.op('Floor', [net.op('Mul', [net.float(0.7), net.float(10)])]);
      const isSix = net.op('Equal', [seven, net.float(6)]);
      const from = x(net, 4);
      return keepsApartWhere(net, isSix, from);
    },
  },
  {
    title: 'a cast to int8, which overflows',
    write(net) {
      const from = x(net, 4);
      const small = net.op('Cast', [net.op('Cast', [net.ints(300)], { to: 3n })], { to: 7n });
      const isSame = net.op('Equal', [small, net.ints(300)]);
      return keepsApartWhere(net, isSame, from);
    },
  },
  {
    title: 'float16 ones of ConstantOfShape, which are not zeros',
    write(net) {
      const from = x(net, 4);
      const ones = net.op('ConstantOfShape', [net.ints(1)], {
        value: initializer('', 'float16', [1], new Uint16Array([0x3c00])),
      });
      const isZero = net.op('Equal', [net.op('Cast', [ones], { to: 7n }), net.ints(0)]);
      return keepsApartWhere(net, isZero, from);
    },
  },
];
