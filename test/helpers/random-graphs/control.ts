import { graph, node, value } from '../../../functions/onnx/proto/build.ts';
import type { Step } from './layout.ts';
import { float, type RandomValue } from './writer.ts';

/** A value of the graph around, changed a little, as the output of a graph inside a node. */
function branch(name: string, from: RandomValue, operator: string) {
  return graph({
    name,
    nodes: [node(operator, [from.name], [`${name}_${from.name}`])],
    inputs: [],
    outputs: [value(`${name}_${from.name}`, 'float32')],
  });
}

const either: Step = (w) => {
  const a = w.some('float32');
  if (a === undefined || w.opset < 11) return;
  const size = w.some('int64', ({ elements, dims }) => elements?.length === 1 && dims.length <= 1);
  const isKnown = size !== undefined && w.chance(0.5);
  // A branch that is known not to be taken must not need nodes of its own, which would run and might fail.
  const b = isKnown ? a : (w.some('float32', ({ dims }) => dims.join() === a.dims.join()) ?? a);
  const condition = isKnown
    ? w.op('Equal', [size, w.ints(1 + w.int(3))], { type: 'bool', dims: [1] })
    : w.op('Less', [w.op('ReduceMean', [w.weights([2])], float([1])), w.weights([1])], { type: 'bool', dims: [1] });
  const id = w.name();
  return w.op('If', [condition], float(a.dims), {
    then_branch: branch(`${id}t`, a, 'Relu'),
    else_branch: branch(`${id}e`, b, w.pick(['Neg', 'Abs'])),
  });
};

/** A state that changes, and what it was in each round. */
const loop: Step = (w) => {
  const state = w.some('float32');
  const other = state && w.some('float32', ({ dims }) => dims.join() === state.dims.join());
  if (state === undefined || other === undefined || w.opset < 11) return;
  const size = w.some(
    'int64',
    ({ elements, dims }) => elements?.length === 1 && dims.length <= 1 && elements[0]! > 0 && elements[0]! < 5,
  );
  const rounds = size?.elements?.[0] ?? 2;
  const id = w.name();
  const body = graph({
    name: id,
    nodes: [
      node('Identity', [`${id}go`], [`${id}on`]),
      node(w.pick(['Add', 'Max']), [`${id}s`, other.name], [`${id}n`]),
      node('Identity', [`${id}n`], [`${id}o`]),
    ],
    inputs: [value(`${id}i`, 'int64', []), value(`${id}go`, 'bool', []), value(`${id}s`, 'float32')],
    outputs: [value(`${id}on`, 'bool', []), value(`${id}n`, 'float32'), value(`${id}o`, 'float32')],
  });
  const count = size ?? w.ints(rounds);
  return w.ops('Loop', [count, undefined, state], [float(state.dims), float([rounds, ...state.dims])], { body });
};

const scan: Step = (w) => {
  const scanned = w.some('float32', ({ dims }) => dims.length > 1);
  if (scanned === undefined || w.opset < 11) return;
  const rank = scanned.dims.length;
  const axis = w.int(rank);
  const id = w.name();
  const dims = scanned.dims.toSpliced(axis, 1);
  const keeps = w.chance(0.5);
  const open = dims.map((_, i) => `${id}${i}`);
  const state = w.weights(dims);
  const body = graph({
    name: id,
    nodes: [node('Add', [`${id}s`, `${id}x`], [`${id}o`]), node('Identity', [keeps ? `${id}s` : `${id}o`], [`${id}n`])],
    inputs: [value(`${id}s`, 'float32', open), value(`${id}x`, 'float32', open)],
    outputs: [value(`${id}n`, 'float32', open), value(`${id}o`, 'float32', open)],
  });
  const place = w.int(rank);
  const output = dims.toSpliced(place, 0, scanned.dims[axis]!);
  const reversed = w.chance(0.1) ? { scan_input_directions: [1n] } : {};
  return w.ops('Scan', [state, scanned], [float(dims), float(output)], {
    body,
    num_scan_inputs: 1n,
    scan_input_axes: [BigInt(axis)],
    scan_output_axes: [BigInt(place)],
    ...reversed,
  });
};

const recurrent: Step = (w) => {
  const x = w.some('float32', ({ dims }) => dims.length === 3);
  if (x === undefined || w.opset < 14) return;
  const [time, batch, features] = x.dims as [number, number, number];
  const both = w.chance(0.3);
  const directions = both ? 2 : 1;
  const weights = [w.weights([directions, 6, features]), w.weights([directions, 6, 2])];
  const outputs = [float([time, directions, batch, 2]), float([directions, batch, 2])];
  const direction = both ? 'bidirectional' : w.pick(['forward', 'reverse']);
  return w.ops('GRU', [x, ...weights], outputs, { hidden_size: 2n, direction });
};

export const CONTROL_STEPS: readonly Step[] = [either, loop, scan, recurrent];
