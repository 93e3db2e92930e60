import { bigs, count, float, normal, type RandomValue, type Writer } from './writer.ts';

/** Adds one node or a few; leaves the graph as it is where nothing fits. */
export type Step = (w: Writer) => unknown;

/** A size of a value, as exporters take it from its shape. */
export function sizeOf(w: Writer, value: RandomValue, axis: number): RandomValue {
  const rank = value.dims.length;
  const size = value.dims[axis]!;
  if (w.opset >= 15 && w.chance(0.2)) {
    return w.op(
      'Shape',
      [value],
      { type: 'int64', dims: [1], elements: [size] },
      { start: BigInt(axis), end: BigInt(axis + 1) },
    );
  }
  const shape = w.op('Shape', [value], { type: 'int64', dims: [rank], elements: value.dims });
  if (w.opset >= 10 && w.chance(0.3)) {
    return w.op('Slice', [shape, w.ints(axis), w.ints(axis + 1), w.ints(0)], {
      type: 'int64',
      dims: [1],
      elements: [size],
    });
  }
  return w.op(
    'Gather',
    [shape, w.ints(w.chance(0.8) ? axis : axis - rank)],
    { type: 'int64', dims: [1], elements: [size] },
    { axis: 0n },
  );
}

/** A size out of sizes. */
function computed(w: Writer, size: RandomValue): RandomValue {
  const [value] = size.elements!;
  const by = 1 + w.int(3);
  const result = (elements: number): Omit<RandomValue, 'name'> => ({ type: 'int64', dims: [1], elements: [elements] });
  switch (w.int(6)) {
    case 0:
      return w.op('Mul', [size, w.ints(by)], result(value! * by));
    case 1:
      return w.op('Div', [size, w.ints(by)], result(Math.trunc(value! / by)));
    case 2:
      return w.op('Add', [size, w.ints(by - 2)], result(value! + by - 2));
    case 3:
      return w.op('Sub', [w.ints(by), size], result(by - value!));
    case 4: {
      const other = w.some(
        'int64',
        ({ elements, dims }) => elements !== undefined && dims.length === 1 && dims[0] === 1,
      );
      return other === undefined ? size : w.op('Mul', [size, other], result(value! * other.elements![0]!));
    }
    default:
      return w.op('Identity', [size], result(value!));
  }
}

/** A list of given sizes in a run of one row: constants, sizes of values, or both. */
export function sizes(w: Writer, target: readonly number[]): RandomValue {
  if (w.chance(0.3)) return w.ints(...target);
  const parts = target.map((size) => {
    const from = w.some('float32', ({ dims }) => dims.includes(size));
    if (from !== undefined && w.chance(0.7)) {
      const places = from.dims.flatMap((one, axis) => (one === size ? [axis] : []));
      return sizeOf(w, from, w.pick(places));
    }
    const other = w.some(
      'int64',
      ({ elements, dims }) => dims.length === 1 && elements?.length === 1 && elements[0] === size,
    );
    return other !== undefined && w.chance(0.5) ? other : w.ints(size);
  });
  if (parts.length === 1) return parts[0]!;
  return w.op('Concat', parts, { type: 'int64', dims: [target.length], elements: target }, { axis: 0n });
}

/** Sizes with a given product. */
export function factors(w: Writer, product: number): number[] {
  const list: number[] = [];
  let left = product;
  while (list.length < 3 && (left > 1 || w.chance(0.3))) {
    const divisors = Array.from({ length: left }, (_, i) => i + 1).filter((one) => left % one === 0);
    const next = w.pick(divisors);
    list.push(next);
    left /= next;
  }
  list.splice(w.int(list.length + 1), 0, left);
  return list;
}

const reshape: Step = (w) => {
  const value = w.some('float32');
  if (value === undefined) return;
  const dims = w.chance(0.3) ? factors(w, count(value.dims)) : [...value.dims];
  if (w.chance(0.4) && dims.length > 1) {
    const at = w.int(dims.length - 1);
    dims.splice(at, 2, dims[at]! * dims[at + 1]!);
  }
  if (w.chance(0.3)) dims.splice(w.int(dims.length + 1), 0, 1);
  if (dims.length > 1 && w.chance(0.15)) dims.push(dims.shift()!);
  const given = [...dims];
  if (w.chance(0.4)) given[w.int(given.length)] = -1;
  for (const [i, size] of given.entries()) if (size === value.dims[i] && w.chance(0.25)) given[i] = 0;
  w.op(
    'Reshape',
    [value, sizes(w, given)],
    float(dims),
    w.opset >= 14 && w.chance(0.1) && !given.includes(0) ? { allowzero: 1n } : {},
  );
};

const transpose: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 1);
  if (value === undefined) return;
  const order = value.dims.map((_, axis) => axis);
  const swap = (a: number, b: number) => ([order[a], order[b]] = [order[b]!, order[a]!]);
  for (let i = 0; i < 2; i++) swap(w.int(order.length), w.int(order.length));
  if (w.chance(0.15)) return w.op('Transpose', [value], float(value.dims.toReversed()));
  return w.op('Transpose', [value], float(order.map((axis) => value.dims[axis]!)), { perm: bigs(order) });
};

const flatten: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined) return;
  const rank = value.dims.length;
  const axis = w.opset >= 11 ? w.axis(rank) : w.int(rank + 1);
  const at = normal(axis, rank);
  w.op('Flatten', [value], float([count(value.dims.slice(0, at)), count(value.dims.slice(at))]), {
    axis: BigInt(axis),
  });
};

const axesOp = (w: Writer, type: string, value: RandomValue, axes: readonly number[], dims: readonly number[]) =>
  w.opset >= 13
    ? w.op(type, [value, w.ints(...axes)], { ...value, dims })
    : axes.length > 0 && w.op(type, [value], { ...value, dims }, { axes: bigs(axes) });

const squeeze: Step = (w) => {
  const value = w.some(w.chance(0.9) ? 'float32' : 'int64', ({ dims }) => dims.includes(1));
  if (value === undefined) return;
  const ones = value.dims.flatMap((size, axis) => (size === 1 ? [axis] : []));
  const everywhere = value.dims.filter((size) => size !== 1);
  if (w.chance(0.1)) return w.op('Squeeze', [value], { ...value, dims: everywhere });
  if (w.chance(0.05) && w.opset >= 13) return w.op('Squeeze', [value, w.ints()], { ...value, dims: everywhere });
  const axes = [w.pick(ones.length > 1 ? ones.slice(1) : ones)];
  const given = w.opset >= 11 && w.chance(0.4) ? axes.map((axis) => axis - value.dims.length) : axes;
  return axesOp(
    w,
    'Squeeze',
    value,
    given,
    value.dims.filter((_, axis) => !axes.includes(axis)),
  );
};

const unsqueeze: Step = (w) => {
  const value = w.some(w.chance(0.9) ? 'float32' : 'int64');
  if (value === undefined) return;
  const axis = w.int(value.dims.length + 1);
  const given = w.opset >= 11 && w.chance(0.4) ? axis - value.dims.length - 1 : axis;
  return axesOp(w, 'Unsqueeze', value, [given], value.dims.toSpliced(axis, 0, 1));
};

const expand: Step = (w) => {
  const value = w.chance(0.7) ? w.some('float32') : w.weights([1, 3]);
  if (value === undefined) return;
  const dims = value.dims.map((size) => (size === 1 && w.chance(0.3) ? 1 + w.int(3) : size));
  if (w.chance(0.3)) dims.unshift(1 + w.int(2));
  const target = dims.map((size) => size);
  w.op('Expand', [value, sizes(w, target)], float(dims));
};

const tile: Step = (w) => {
  const value = w.chance(0.8) ? w.some('float32', ({ dims }) => dims.length > 0) : w.weights([1, 3]);
  if (value === undefined) return;
  const repeats = value.dims.map(() => (w.chance(0.3) ? 2 : 1));
  w.op('Tile', [value, sizes(w, repeats)], float(value.dims.map((size, axis) => size * repeats[axis]!)));
};

const slice: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined) return;
  const axis = w.axis(value.dims.length);
  const at = normal(axis, value.dims.length);
  const size = value.dims[at]!;
  const start = w.chance(0.6) ? 0 : w.int(size);
  const end = w.pick([size, 2 ** 31 - 1, start + 1 + w.int(size - start)]);
  const backwards = w.opset >= 10 && w.chance(0.1);
  const length = Math.min(end, size) - start;
  const dims = value.dims.toSpliced(at, 1, backwards ? size : length);
  if (w.opset < 10) {
    return w.op('Slice', [value], float(dims), { axes: [BigInt(axis)], starts: [BigInt(start)], ends: [BigInt(end)] });
  }
  if (backwards) {
    return w.op('Slice', [value, w.ints(-1), w.ints(-(2 ** 31)), w.ints(axis), w.ints(-1)], float(dims));
  }
  const stop = end <= size ? sizes(w, [end]) : w.ints(end);
  return w.op('Slice', [value, w.ints(start), stop, w.ints(axis)], float(dims));
};

const split: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.some((size) => size > 1));
  if (value === undefined) return;
  const rank = value.dims.length;
  const axis = w.axis(rank);
  const at = normal(axis, rank);
  const size = value.dims[at]!;
  if (size < 2) return;
  const first = 1 + w.int(size - 1);
  const outputs = [first, size - first].map((one) => float(value.dims.toSpliced(at, 1, one)));
  if (w.opset < 13) return w.ops('Split', [value], outputs, { axis: BigInt(axis), split: bigs([first, size - first]) });
  if (w.opset >= 18 && w.chance(0.4)) {
    const half = Math.ceil(size / 2);
    const even = [half, size - half].map((one) => float(value.dims.toSpliced(at, 1, one)));
    return w.ops('Split', [value], even, { axis: BigInt(axis), num_outputs: 2n });
  }
  return w.ops('Split', [value, sizes(w, [first, size - first])], outputs, { axis: BigInt(axis) });
};

const concat: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined) return;
  const rank = value.dims.length;
  const axis = w.axis(rank);
  const at = normal(axis, rank);
  const fits = ({ dims }: RandomValue): boolean =>
    dims.length === rank && dims.every((size, i) => i === at || size === value.dims[i]);
  const other = w.chance(0.8) ? w.some('float32', fits) : w.weights(value.dims);
  if (other === undefined) return;
  w.op(
    'Concat',
    w.chance(0.5) ? [value, other] : [other, value],
    float(value.dims.toSpliced(at, 1, value.dims[at]! + other.dims[at]!)),
    {
      axis: BigInt(w.opset >= 11 ? axis : at),
    },
  );
};

const pad: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined) return;
  const rank = value.dims.length;
  const at = w.int(rank);
  const pads = Array.from({ length: 2 * rank }, (_, i) => (i % rank === at ? w.int(2) : 0));
  const dims = value.dims.map((size, axis) => size + pads[axis]! + pads[axis + rank]!);
  if (w.opset < 11) return w.op('Pad', [value], float(dims), { pads: bigs(pads), mode: 'constant' });
  if (w.opset >= 18 && w.chance(0.4)) {
    const axes = w.ints(w.chance(0.5) ? at : at - rank);
    return w.op('Pad', [value, w.ints(pads[at]!, pads[at + rank]!), undefined, axes], float(dims));
  }
  return w.op('Pad', [value, sizes(w, pads)], float(dims));
};

const trilu: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 1);
  if (value !== undefined && w.opset >= 14) w.op('Trilu', [value], float(value.dims), { upper: BigInt(w.int(2)) });
};

const constantOfShape: Step = (w) => {
  const dims = Array.from({ length: 1 + w.int(3) }, () => 1 + w.int(3));
  w.op('ConstantOfShape', [sizes(w, dims)], float(dims));
};

const splitSequence: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 1);
  if (value === undefined || w.opset < 11) return;
  const rank = value.dims.length;
  const axis = w.axis(rank);
  const at = normal(axis, rank);
  const keeps = w.chance(0.5);
  const dims = keeps ? value.dims.toSpliced(at, 1, 1) : value.dims.toSpliced(at, 1);
  const [sequence] = w.ops('SplitToSequence', [value], [], { axis: BigInt(axis), keepdims: BigInt(keeps ? 1 : 0) }, 1);
  if (w.chance(0.5)) return w.op('SequenceAt', [sequence, w.scalar(w.int(value.dims[at]!))], float(dims));
  return w.op(
    'ConcatFromSequence',
    [sequence],
    float(value.dims),
    keeps ? { axis: BigInt(axis) } : { axis: BigInt(axis), new_axis: 1n },
  );
};

export { computed };

export const LAYOUT_STEPS: readonly Step[] = [
  reshape,
  reshape,
  reshape,
  transpose,
  transpose,
  flatten,
  squeeze,
  unsqueeze,
  expand,
  tile,
  slice,
  slice,
  split,
  concat,
  concat,
  pad,
  trilu,
  constantOfShape,
  splitSequence,
  (w) => {
    const value = w.some('float32', ({ dims }) => dims.length > 0);
    if (value !== undefined) computed(w, sizeOf(w, value, w.int(value.dims.length)));
  },
];
