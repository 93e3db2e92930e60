import { graph, node, value } from '../../../functions/onnx/proto/build.ts';
import type { Step } from './layout.ts';
import { bigs, float, type RandomValue } from './writer.ts';

/** Attention over [batch, sequence, hidden], of any values that have the sizes. */
const attention: Step = (w) => {
  const query = w.some('float32', ({ dims }) => dims.length === 3 && dims[2]! % 2 === 0);
  if (query === undefined) return;
  const [batch, , hidden] = query.dims;
  const fits = ({ dims }: RandomValue): boolean => dims.length === 3 && dims[0] === batch && dims[2] === hidden;
  const keys = w.some('float32', fits) ?? query;
  return w.op('com.microsoft:MultiHeadAttention', [query, keys, keys], float(query.dims), { num_heads: 2n });
};

const skipNormalization: Step = (w) => {
  const input = w.some('float32', ({ dims }) => dims.length === 3);
  const skip =
    input &&
    w.some('float32', ({ dims }) => dims.join() === input.dims.join() || dims.join() === input.dims.slice(1).join());
  if (skip === undefined) return;
  const gamma = w.weights([input!.dims[2]!]);
  return w.op('com.microsoft:SkipLayerNormalization', [input, skip, gamma], float(input!.dims));
};

const bias: Step = (w) => {
  const input = w.some('float32', ({ dims }) => dims.length > 0);
  const type = w.pick(['BiasGelu', 'FastGelu']);
  if (input !== undefined) w.op(`com.microsoft:${type}`, [input, w.weights([input.dims.at(-1)!])], float(input.dims));
};

const fusedMatMul: Step = (w) => {
  const a = w.some('float32', ({ dims }) => dims.length === 2);
  const b = a && w.some('float32', ({ dims }) => dims.length === 2 && (dims[1] === a.dims[1] || dims[0] === a.dims[0]));
  if (b === undefined) return;
  const [rows, columns] = a!.dims as [number, number];
  if (b.dims[1] === columns)
    return w.op('com.microsoft:FusedMatMul', [a, b], float([rows, b.dims[0]!]), { transB: 1n });
  return w.op('com.microsoft:FusedMatMul', [a, b], float([columns, b.dims[1]!]), { transA: 1n });
};

const distances: Step = (w) => {
  const a = w.some('float32', ({ dims }) => dims.length === 2);
  if (a === undefined) return;
  const b = w.chance(0.5)
    ? w.weights([3, a.dims[1]!])
    : (w.some('float32', ({ dims }) => dims.length === 2 && dims[1] === a.dims[1]) ?? a);
  return w.op('com.microsoft:CDist', w.chance(0.5) ? [a, b] : [b, a], float([a, b].map(({ dims }) => dims[0]!)), {
    metric: 'sqeuclidean',
  });
};

const reverseSequence: Step = (w) => {
  const input = w.some('float32', ({ dims }) => dims.length > 1);
  if (input === undefined) return;
  const batch = w.int(2);
  const lengths = w.some(
    'int64',
    ({ dims, elements }) => dims.length === 1 && dims[0] === input.dims[batch] && elements === undefined,
  );
  if (lengths === undefined) return;
  const few = w.op(
    'Clip',
    [w.op('Add', [lengths, w.ints(1)], lengths), w.scalar(1), w.scalar(input.dims[1 - batch]!)],
    lengths,
  );
  const attributes = { batch_axis: BigInt(batch), time_axis: BigInt(1 - batch) };
  return w.opset >= 12 && w.op('ReverseSequence', [input, few], float(input.dims), attributes);
};

const gridSample: Step = (w) => {
  const image = w.some('float32', ({ dims }) => dims.length === 4);
  const grid =
    image && w.some('float32', ({ dims }) => dims.length === 4 && dims[3] === 2 && dims[0] === image.dims[0]);
  if (grid === undefined || w.opset < 16 || w.opset > 19) return;
  return w.op('GridSample', [image, grid], float([...image!.dims.slice(0, 2), ...grid.dims.slice(1, 3)]));
};

/** A state that grows by a part in each round. */
const growingLoop: Step = (w) => {
  const state = w.some('float32', ({ dims }) => dims.length > 0);
  if (state === undefined || w.opset < 13) return;
  const axis = w.int(state.dims.length);
  const id = w.name();
  const open = state.dims.map((_, i) => `${id}${i}`);
  const body = graph({
    name: id,
    nodes: [
      node('Identity', [`${id}go`], [`${id}on`]),
      node('Concat', [`${id}s`, state.name], [`${id}n`], { axis: BigInt(axis) }),
    ],
    inputs: [value(`${id}i`, 'int64', []), value(`${id}go`, 'bool', []), value(`${id}s`, 'float32', open)],
    outputs: [value(`${id}on`, 'bool', []), value(`${id}n`, 'float32', open)],
  });
  return w.op('Loop', [w.ints(2), undefined, state], float(state.dims.toSpliced(axis, 1, 3 * state.dims[axis]!)), {
    body,
  });
};

/** Slices of rows or of something else, each seen alone. */
const mapping: Step = (w) => {
  const scanned = w.some('float32', ({ dims }) => dims.length > 1);
  if (scanned === undefined || w.opset < 13) return;
  const axis = w.chance(0.6) ? 0 : w.int(scanned.dims.length);
  const dims = scanned.dims.toSpliced(axis, 1);
  const id = w.name();
  const open = dims.map((_, i) => `${id}${i}`);
  const sum = node('ReduceSum', [`${id}x`], [`${id}r`], { keepdims: 1n });
  const body = graph({
    name: id,
    nodes: [sum, node('Sub', [`${id}x`, `${id}r`], [`${id}o`])],
    inputs: [value(`${id}x`, 'float32', open)],
    outputs: [value(`${id}o`, 'float32', open)],
  });
  const place = w.int(scanned.dims.length);
  const attributes = { body, num_scan_inputs: 1n, scan_input_axes: bigs([axis]), scan_output_axes: bigs([place]) };
  return w.op('Scan', [scanned], float(dims.toSpliced(place, 0, scanned.dims[axis]!)), attributes);
};

export const FUSED_STEPS: readonly Step[] = [
  attention,
  skipNormalization,
  bias,
  fusedMatMul,
  distances,
  reverseSequence,
  gridSample,
  growingLoop,
  mapping,
];
