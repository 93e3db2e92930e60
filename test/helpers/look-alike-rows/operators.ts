import { asFloat, type LookAlike, numbersOfRows, x } from './parts.ts';

export const OPERATORS: readonly LookAlike[] = [
  {
    title: 'an output that holds the numbers of the rows',
    write(net) {
      const rows = net.op('Squeeze', [net.op('Slice', [net.op('Shape', [x(net, 4)]), net.ints(0), net.ints(1)])]);
      return net.op('Range', [net.int(0), rows, net.int(1)]);
    },
  },
  {
    title: 'the size of a constant that is cut to the number of rows',
    write(net) {
      const from = x(net, 4);
      return net.op('Add', [from, asFloat(net, net.op('Size', [numbersOfRows(net, from)]))]);
    },
  },
  {
    title: 'the shape of a constant that is resized to the number of rows',
    write(net) {
      const from = x(net, 4);
      const sizes = net.op(
        'Concat',
        [net.ints(1, 1), net.op('Slice', [net.op('Shape', [from]), net.ints(0), net.ints(1)])],
        { axis: 0n },
      );
      const image = net.table('float32', [1, 1, 2], [1, 2]);
      const shape = net.op('Shape', [net.op('Resize', [image, '', '', sizes], { mode: 'nearest' })]);
      const size = net.op('Gather', [shape, net.ints(2)], { axis: 0n });
      return net.op('Add', [from, asFloat(net, net.op('Reshape', [size, net.ints(1)]))]);
    },
  },
  {
    title: 'a constant of a shape that rows hold',
    write(net) {
      const shape = net.input('x', 'int64', ['N']);
      const sum = net.op('ReduceSum', [net.op('ConstantOfShape', [shape])], { keepdims: 0n });
      return net.op('Add', [net.input('y', 'float32', ['N']), net.op('Reshape', [sum, net.ints(1)])]);
    },
  },
  {
    title: 'a constant that is summed over axes that rows hold',
    write(net) {
      const axes = net.input('x', 'int64', ['N']);
      const sum = net.op('ReduceSum', [net.table('float32', [2, 2], [1, 2, 3, 4]), axes]);
      return net.op('Add', [net.input('y', 'float32', ['N', 4]), net.op('Reshape', [sum, net.ints(1, -1)])]);
    },
  },
  {
    title: 'a constant that is repeated as rows say',
    write(net) {
      const sum = net.op(
        'ReduceSum',
        [net.op('Tile', [net.table('float32', [2], [1, 2]), net.input('x', 'int64', ['N'])])],
        { keepdims: 0n },
      );
      return net.op('Add', [net.input('y', 'float32', ['N']), net.op('Reshape', [sum, net.ints(1)])]);
    },
  },
  {
    title: 'Squeeze with an empty list of axes, which takes away the axis of a single row',
    write: (net) => net.op('Squeeze', [x(net, 4), net.ints()]),
  },
  {
    title: 'a skip of rows beside an input of a fixed size, which gives the shape',
    write: (net) => net.op('ms:SkipLayerNormalization', [net.weight([1, 2, 4]), x(net, 2, 4), net.weight([4])]),
  },
  {
    title: 'a bias of rows beside a product of one row',
    write: (net) => net.op('Gemm', [net.weight([1, 3]), net.weight([3, 4]), x(net, 4)]),
  },
  {
    title: 'a bias of one element along the rows, which a batch does not fit',
    write: (net) => net.op('ms:BiasGelu', [x(net), net.weight([1])]),
  },
  {
    title: 'limits of Clip that are rows',
    write: (net) => net.op('Clip', [x(net), net.input('y', 'float32', ['N'])]),
  },
  {
    title: 'a target of Expand that is 1 in some runs, taken for the size that it gives',
    write(net) {
      const from = x(net, 6);
      const time = net.op('Slice', [
        net.op('Shape', [net.input('y', 'float32', ['N', 'time'])]),
        net.ints(1),
        net.ints(2),
      ]);
      const wide = net.op('Expand', [from, net.op('Concat', [net.ints(1), time], { axis: 0n })]);
      return net.op('Reshape', [wide, net.op('Concat', [net.ints(-1), time], { axis: 0n })]);
    },
  },
  {
    title: 'elements of a sequence that have sizes of their own',
    write(net) {
      const parts = net.op('SplitToSequence', [x(net, 4), net.ints(1, 3)], { axis: 1n });
      const [first, second] = [0, 1].map((place) => net.op('SequenceAt', [parts, net.int(place)])) as [string, string];
      const size = net.op('Slice', [net.op('Shape', [first]), net.ints(1), net.ints(2)]);
      return net.op('Reshape', [second, net.op('Concat', [net.ints(-1), size], { axis: 0n })]);
    },
  },
  {
    title: 'a resize that keeps the proportions of the images, and so may change how many there are',
    style: { opset: 18 },
    write(net) {
      const from = x(net, 1, 4, 4);
      const rows = net.op('Slice', [net.op('Shape', [from]), net.ints(0), net.ints(1)]);
      const sizes = net.op('Concat', [rows, net.ints(1, 2, 2)], { axis: 0n });
      return net.op('Resize', [from, '', '', sizes], { keep_aspect_ratio_policy: 'not_larger', mode: 'nearest' });
    },
  },
  {
    title: 'a resize that crops the rows',
    write(net) {
      const roi = net.table('float32', [6], [0.5, 0, 0, 1, 1, 1]);
      const scales = net.table('float32', [3], [1, 1, 2]);
      const attributes = { coordinate_transformation_mode: 'tf_crop_and_resize', mode: 'nearest' };
      return net.op('Resize', [x(net, 1, 4), roi, scales], attributes);
    },
  },
  {
    title: 'a linear resize of rows that are the lines of one image',
    write: (net) => net.op('Resize', [x(net, 4), '', net.table('float32', [2], [1, 2])], { mode: 'linear' }),
  },
  {
    title: 'the axis of a result that has more axes than the first',
    write(net) {
      const from = x(net, 2, 4);
      const past = net.input('past', 'float32', ['N', 2, 3, 2]);
      const [, present] = net.ops('ms:MultiHeadAttention', [from, from, from, '', '', '', past, past], 3, {
        num_heads: 2n,
      });
      return net.op('Softmax', [present!], { axis: -4n });
    },
  },
  {
    title: 'rotary tables of rows that positions pick from',
    style: { opset: 23 },
    write(net) {
      const tables = ['cos', 'sin'].map((name) => net.input(name, 'float32', ['N', 2]));
      return net.op('RotaryEmbedding', [x(net, 2, 3, 4), ...tables, net.input('positions', 'int64', ['N', 3])]);
    },
  },
  {
    title: 'a StringNormalizer of a matrix, which takes no more than one row',
    write: (net) =>
      net.op(
        'Cast',
        [net.op('StringNormalizer', [net.input('x', 'string', ['N', 2])], { case_change_action: 'LOWER' })],
        { to: 1n },
      ),
  },
  {
    title: 'a Scaler of three axes, which takes the second for the features',
    style: { mlOpset: 3 },
    write: (net) => net.op('ml:Scaler', [x(net, 2, 4)], { offset: [0, 1], scale: [1, 2] }),
  },
];
