import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createFloat16Mode } from '../../../../functions/cli/quantize/modes/float16/float16.ts';
import { graph, initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';
import type { GraphProto } from '../../../../functions/onnx/proto/onnx_pb.ts';
import {
  createQuantizer,
  differences,
  floats,
  linesOf,
  open,
  wave,
  weightsOf,
} from '../../../helpers/quantize/quantize.ts';

const quantize = createQuantizer('float16-');
const FLOAT16 = createFloat16Mode({ keepsIo: true });
const X = value('x', 'float32', ['rows', 4]);
const Y = value('y', 'float32', ['rows', 4]);
const weight = (name: string, ...dims: number[]) =>
  initializer(name, 'float32', dims, wave(dims.reduce((a, b) => a * b, 1)));

/** Element types of the inputs and outputs of a graph: FLOAT = 1, FLOAT16 = 10. */
const typesOf = ({ input, output }: GraphProto) =>
  [...input, ...output].map(({ type }) => (type?.value.case === 'tensorType' ? type.value.value.elemType : undefined));

const NET = model({
  name: 'g',
  inputs: [X],
  outputs: [Y],
  initializers: [weight('W', 4, 4), weight('b', 4)],
  valueInfo: [value('h', 'float32', ['rows', 4])],
  nodes: [
    node('MatMul', ['x', 'W'], ['h'], {}, { name: 'fc' }),
    node('Add', ['h', 'b'], ['s'], {}, { name: 'bias' }),
    node('Relu', ['s'], ['y'], {}, { name: 'relu' }),
  ],
});

test('weights and values are float16, and a Cast is behind the input and before the output, as in float16.py', async () => {
  const made = await quantize(NET, FLOAT16);
  assert.deepEqual(linesOf(made.graph), [
    'graph_input_cast0: Cast(x) -> graph_input_cast_0',
    'fc: MatMul(graph_input_cast_0, W) -> h',
    'bias: Add(h, b) -> s',
    'relu: Relu(s) -> graph_output_cast_0',
    'graph_output_cast0: Cast(graph_output_cast_0) -> y',
  ]);
  assert.deepEqual(weightsOf(made.graph), ['W: 10 [4,4]', 'b: 10 [4]']);
  assert.deepEqual(typesOf(made.graph), [1, 1]);
  const [h] = made.graph.valueInfo;
  assert.equal(h?.type?.value.case === 'tensorType' && h.type.value.value.elemType, 10, 'the type of a value between');
  assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.002);
});

test('inputs and outputs are float16 too, if they are to be', async () => {
  const made = await quantize(NET, createFloat16Mode({ keepsIo: false }));
  assert.deepEqual(
    made.graph.node.map(({ opType }) => opType),
    ['MatMul', 'Add', 'Relu'],
  );
  assert.deepEqual(typesOf(made.graph), [10, 10]);
  assert.deepEqual(
    (await open(made.path)).signature.inputs.map(({ dtype }) => dtype),
    ['float16'],
  );
});

describe('operators that stay float32', () => {
  test('have a Cast on both sides, a shared one for what two of them read', async () => {
    const made = await quantize(
      model({
        name: 'g',
        inputs: [X],
        outputs: [Y],
        initializers: [weight('W', 4, 4), weight('m', 4), initializer('axis', 'int64', [], [1])],
        nodes: [
          node('MatMul', ['x', 'W'], ['h'], {}, { name: 'fc' }),
          node('CumSum', ['h', 'axis'], ['c'], {}, { name: 'sum' }),
          node('Max', ['h', 'm'], ['d'], {}, { name: 'max' }),
          node('Min', ['c', 'd'], ['e'], {}, { name: 'min' }),
          node('Relu', ['e'], ['y'], {}, { name: 'relu' }),
        ],
      }),
      FLOAT16,
    );
    assert.deepEqual(linesOf(made.graph).slice(1, -1), [
      'fc: MatMul(graph_input_cast_0, W) -> h',
      'sum_input_cast0: Cast(h) -> sum_input_cast_0',
      'sum: CumSum(sum_input_cast_0, axis) -> sum_output_cast_0',
      'max: Max(sum_input_cast_0, m) -> max_output_cast_0',
      'min: Min(sum_output_cast_0, max_output_cast_0) -> min_output_cast_0',
      'min_output_cast0: Cast(min_output_cast_0) -> e',
      'relu: Relu(e) -> graph_output_cast_0',
    ]);
    assert.ok(weightsOf(made.graph).includes('m: 1 [4]'), 'a weight that they alone read keeps its digits');
    assert.deepEqual(
      made.report.kept.map(({ name }) => name),
      ['sum', 'max', 'min'],
    );
    assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.002);
  });

  test('are those that are not selected, too', async () => {
    const made = await quantize(NET, FLOAT16, ({ name }) => name !== 'bias');
    assert.ok(weightsOf(made.graph).includes('b: 1 [4]'));
    assert.equal(
      linesOf(made.graph).find((line) => line.startsWith('bias:')),
      'bias: Add(bias_input_cast_0, b) -> bias_output_cast_0',
    );
    assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.002);
  });

  test('have a weight in float16 with a Cast, if others read it', async () => {
    const made = await quantize(
      model({
        name: 'g',
        inputs: [X],
        outputs: [Y],
        initializers: [weight('w', 4)],
        nodes: [
          node('Mul', ['x', 'w'], ['h'], {}, { name: 'mul' }),
          node('Max', ['h', 'w'], ['y'], {}, { name: 'max' }),
        ],
      }),
      FLOAT16,
    );
    assert.deepEqual(weightsOf(made.graph), ['w: 10 [4]']);
    assert.ok(linesOf(made.graph).includes('max_input_cast1: Cast(w) -> max_input_cast_1'));
    assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.002);
  });
});

test('the types in attributes follow: Cast, constants, what is filled', async () => {
  const made = await quantize(
    model({
      name: 'g',
      inputs: [value('x', 'int64', ['rows', 4])],
      outputs: [Y],
      nodes: [
        node('Cast', ['x'], ['f'], { to: 1n }),
        node('Constant', [], ['half'], { value_float: 0.5 }),
        node('Constant', [], ['row'], { value: weight('', 4) }),
        node('Shape', ['x'], ['shape']),
        node('ConstantOfShape', ['shape'], ['zeros']),
        node('Mul', ['f', 'half'], ['a']),
        node('Add', ['a', 'row'], ['b']),
        node('Add', ['b', 'zeros'], ['y']),
      ],
    }),
    FLOAT16,
  );
  assert.equal(made.graph.node[0]!.attribute[0]!.i, 10n);
  assert.deepEqual(
    made.graph.node
      .flatMap(({ attribute }) => attribute.map(({ t }) => t?.dataType))
      .filter((type) => type !== undefined),
    [10, 10, 10],
  );
  const ids = { dtype: 'int64' as const, dims: [1, 4], data: BigInt64Array.of(1n, 7n, 9n, -3n) };
  assert.ok((await differences(made, [ids]))[0]! < 0.002);
});

describe('graphs inside', () => {
  const body = (name: string, operator: string) =>
    graph({
      name,
      nodes: [node('Add', ['h', 'b'], [`${name}_s`]), node(operator, [`${name}_s`, 'b'], [`${name}_y`], {}, { name })],
      inputs: [],
      outputs: [value(`${name}_y`, 'float32', ['rows', 4])],
    });
  const bytes = model({
    name: 'g',
    inputs: [X, value('c', 'bool', [])],
    outputs: [Y],
    initializers: [weight('W', 4, 4), weight('b', 4)],
    nodes: [
      node('MatMul', ['x', 'W'], ['h'], {}, { name: 'fc' }),
      node('If', ['c'], ['y'], { then_branch: body('then', 'Max'), else_branch: body('else', 'Mul') }, { name: 'if' }),
    ],
  });
  const check = async (made: Awaited<ReturnType<typeof quantize>>) => {
    for (const flag of [0, 1]) {
      const feeds = [floats(3, 4), { dtype: 'bool' as const, dims: [], data: Uint8Array.of(flag) }];
      assert.ok((await differences(made, feeds))[0]! < 0.002);
    }
  };

  test('are converted, and give float16', async () => {
    const made = await quantize(bytes, FLOAT16);
    const [then, otherwise] = made.graph.node.find(({ opType }) => opType === 'If')!.attribute.map(({ g }) => g!);
    assert.deepEqual([typesOf(then!), typesOf(otherwise!)], [[10], [10]]);
    assert.equal(then!.node.at(-1)!.output[0], 'then_y', 'the output keeps its name');
    await check(made);
  });

  test('stay float32 in a node that is not selected', async () => {
    const made = await quantize(bytes, FLOAT16, ({ name }) => name !== 'if');
    const [then] = made.graph.node.find(({ opType }) => opType === 'If')!.attribute.map(({ g }) => g!);
    assert.deepEqual(typesOf(then!), [1]);
    await check(made);
  });
});

test('what float16 cannot hold is clamped, and said', async () => {
  const { report, graph: made } = await quantize(
    model({
      name: 'g',
      inputs: [X],
      outputs: [Y],
      initializers: [initializer('W', 'float32', [4], [1e6, -1e9, 1e-9, 1])],
      nodes: [node('Mul', ['x', 'W'], ['y'])],
    }),
    FLOAT16,
  );
  assert.deepEqual(report.notes, [
    '2 elements of W beyond the range of float16 became 65504 or -65504: exclude the nodes that read it',
    '1 element of W nearer to 0 than any float16 became the smallest one, 5.96e-8',
  ]);
  assert.deepEqual(
    [...new Uint16Array(Uint8Array.from(made.initializer[0]!.rawData).buffer)],
    [0x7bff, 0xfbff, 1, 0x3c00],
  );
});
