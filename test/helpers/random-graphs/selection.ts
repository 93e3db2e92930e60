import { type Step, sizeOf, sizes } from './layout.ts';
import { count, float, met, normal, type RandomValue } from './writer.ts';

const gather: Step = (w) => {
  const data = w.chance(0.8) ? w.some('float32', ({ dims }) => dims.length > 0) : w.weights([3, 2]);
  if (data === undefined) return;
  const rank = data.dims.length;
  const axis = w.axis(rank);
  const at = normal(axis, rank);
  const size = data.dims[at]!;
  const constant = (): RandomValue => {
    const dims = w.pick([[], [1], [2]]);
    return w.tensor(
      'int64',
      dims,
      Array.from({ length: count(dims) }, () => w.int(size) - (w.chance(0.2) ? size : 0)),
    );
  };
  const indices = w.chance(0.5) ? constant() : w.some('int64', ({ below }) => below !== undefined && below <= size);
  if (indices === undefined) return;
  return w.op(
    'Gather',
    [data, indices],
    float([...data.dims.slice(0, at), ...indices.dims, ...data.dims.slice(at + 1)]),
    { axis: BigInt(axis) },
  );
};

const gatherElements: Step = (w) => {
  const indices = w.some('int64', ({ dims, below }) => dims.length > 0 && below !== undefined);
  if (indices === undefined || w.opset < 11) return;
  const rank = indices.dims.length;
  const axis = w.axis(rank);
  const at = normal(axis, rank);
  const fits = ({ dims }: RandomValue): boolean =>
    dims.length === rank &&
    dims[at]! >= indices.below! &&
    dims.every((size, i) => i === at || size >= indices.dims[i]!);
  const data = w.some('float32', fits);
  if (data === undefined) return;
  if (w.chance(0.3)) {
    const updates = w.weights(indices.dims);
    const source = w.op(
      'Add',
      [updates, w.op('Mul', [data, w.tensor('float32', [], [0])], float(data.dims))],
      float(data.dims),
    );
    return (
      data.dims.join() === indices.dims.join() &&
      w.op('ScatterElements', [data, indices, source], float(data.dims), { axis: BigInt(axis) })
    );
  }
  return w.op('GatherElements', [data, indices], float(indices.dims), { axis: BigInt(axis) });
};

const gatherND: Step = (w) => {
  const indices = w.some('int64', ({ dims, below }) => dims.length > 0 && below !== undefined);
  if (indices === undefined || w.opset < 12) return;
  const depth = indices.dims.at(-1)!;
  const batch = w.int(Math.min(2, indices.dims.length));
  const fits = ({ dims }: RandomValue): boolean =>
    dims.length >= batch + depth &&
    dims.slice(0, batch).every((size, i) => size === indices.dims[i]) &&
    dims.slice(batch, batch + depth).every((size) => size >= indices.below!);
  const data = w.some('float32', fits);
  return (
    data &&
    w.op('GatherND', [data, indices], float([...indices.dims.slice(0, -1), ...data.dims.slice(batch + depth)]), {
      batch_dims: BigInt(batch),
    })
  );
};

/** Numbers of rows, of places, and what is computed from them. */
const numbers: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined || w.opset < 11) return;
  const axis = w.chance(0.6) ? 0 : w.int(value.dims.length);
  const size = value.dims[axis]!;
  const one = sizeOf(w, value, axis);
  const limit = w.op(
    'Squeeze',
    w.opset >= 13 ? [one, w.ints(0)] : [one],
    { type: 'int64', dims: [], elements: [size] },
    w.opset >= 13 ? {} : { axes: [0n] },
  );
  let result = w.op('Range', [w.scalar(0), limit, w.scalar(1)], { type: 'int64', dims: [size], below: size });
  if (w.chance(0.5)) {
    const by = 1 + w.int(3);
    result = w.op('Mul', [result, w.ints(by)], { type: 'int64', dims: [size], below: (size - 1) * by + 1 });
  }
  const other = w.some('int64', ({ below, dims }) => below !== undefined && met(dims, result.dims) !== undefined);
  if (other !== undefined && w.chance(0.5)) {
    w.op('Add', [result, other], {
      type: 'int64',
      dims: met(result.dims, other.dims)!,
      below: result.below! + other.below! - 1,
    });
  }
  if (w.chance(0.3)) w.op('Cast', [result], float(result.dims), { to: 1n });
};

const casts: Step = (w) => {
  const value = w.some('int64');
  if (value !== undefined) w.op('Cast', [value], float(value.dims), { to: 1n });
};

const oneHot: Step = (w) => {
  const indices = w.some('int64', ({ below, dims }) => below !== undefined && dims.length > 0);
  if (indices === undefined || w.opset < 11) return;
  const rank = indices.dims.length + 1;
  const axis = w.axis(rank);
  const depth = indices.below!;
  const given = w.chance(0.5) ? sizes(w, [depth]) : w.scalar(depth);
  return w.op(
    'OneHot',
    [indices, given, w.tensor('float32', [2], [0, 1])],
    float(indices.dims.toSpliced(normal(axis, rank), 0, depth)),
    { axis: BigInt(axis) },
  );
};

const compress: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined || w.opset < 11) return;
  const axis = w.axis(value.dims.length);
  const at = normal(axis, value.dims.length);
  const keeps = Array.from({ length: value.dims[at]! }, () => 1);
  return w.op('Compress', [value, w.tensor('bool', [keeps.length], keeps)], float(value.dims), { axis: BigInt(axis) });
};

export const SELECTION_STEPS: readonly Step[] = [
  gather,
  gather,
  gatherElements,
  gatherND,
  numbers,
  numbers,
  casts,
  oneHot,
  compress,
];
