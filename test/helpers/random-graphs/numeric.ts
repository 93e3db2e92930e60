import { type Step, sizes } from './layout.ts';
import { bigs, float, met, normal, type RandomValue, type Writer } from './writer.ts';

const unary: Step = (w) => {
  const value = w.some('float32');
  const type = w.pick(['Relu', 'Neg', 'Sigmoid', 'Abs', 'Identity', 'Tanh', 'Floor', 'Sign', 'Elu']);
  if (value !== undefined) w.op(type, [value], float(value.dims));
};

/** A constant of a shape that meets another. */
function partner(w: Writer, dims: readonly number[]): RandomValue {
  const own = dims.map((size) => (w.chance(0.5) ? 1 : size)).slice(w.int(dims.length + 1));
  return w.weights(own);
}

const binary: Step = (w) => {
  const a = w.some('float32');
  if (a === undefined) return;
  const b = w.chance(0.6) ? w.some('float32', ({ dims }) => met(a.dims, dims) !== undefined) : partner(w, a.dims);
  const dims = b && met(a.dims, b.dims);
  if (dims === undefined) return;
  const type = w.pick(['Add', 'Mul', 'Sub', 'Max', 'Min', 'Sum', 'Where', 'PRelu']);
  if (type === 'Where') {
    const condition = w.op('Less', [a, b], { type: 'bool', dims });
    return w.op('Where', [condition, a, b], float(dims));
  }
  if (type === 'PRelu' && dims.join() !== a.dims.join()) return;
  return w.op(type, w.chance(0.5) || type === 'PRelu' ? [a, b] : [b, a], float(dims));
};

// Without Max, Min and Hardmax: what onnxruntime gives for a row with NaN depends on how that row lies in the memory.
const REDUCTIONS = ['Sum', 'Mean', 'L1', 'L2', 'LogSumExp', 'SumSquare'];

const reduce: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined) return;
  const rank = value.dims.length;
  const keeps = w.chance(0.5);
  const type = `Reduce${w.pick(REDUCTIONS)}`;
  const axes = w.chance(0.1)
    ? undefined
    : [...new Set([w.int(rank), w.chance(0.3) ? w.int(rank) : 0].slice(0, w.chance(0.7) ? 1 : 2))];
  const all = axes ?? value.dims.map((_, axis) => axis);
  const dims = value.dims.flatMap((size, axis) => (all.includes(axis) ? (keeps ? [1] : []) : [size]));
  const given = axes?.map((axis) => (w.opset >= 11 && w.chance(0.4) ? axis - rank : axis));
  const options = keeps && w.chance(0.5) ? {} : { keepdims: BigInt(keeps ? 1 : 0) };
  const byInput = w.opset >= 18 || (w.opset >= 13 && type === 'ReduceSum');
  if (given === undefined) return w.op(type, [value], float(dims), options);
  if (byInput) return w.op(type, [value, w.ints(...given)], float(dims), options);
  return w.op(type, [value], float(dims), { ...options, axes: bigs(given) });
};

const along: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 0);
  if (value === undefined) return;
  const type = w.pick(['Softmax', 'LogSoftmax', 'LpNormalization', 'CumSum', 'TopK', 'ArgMax']);
  const rank = value.dims.length;
  const axis = w.opset >= 11 && type !== 'LpNormalization' ? w.axis(rank) : w.int(rank);
  const at = normal(axis, rank);
  const attributes =
    w.chance(0.15) && type !== 'CumSum' && type !== 'TopK' && type !== 'ArgMax' ? {} : { axis: BigInt(axis) };
  if (type === 'CumSum') return w.opset >= 11 && w.op(type, [value, w.scalar(axis)], float(value.dims));
  if (type === 'TopK') {
    if (w.opset < 11) return;
    const k = 1 + w.int(value.dims[at]!);
    const dims = value.dims.toSpliced(at, 1, k);
    return w.ops(type, [value, w.ints(k)], [float(dims), { type: 'int64', dims, below: value.dims[at]! }], attributes);
  }
  if (type === 'ArgMax') {
    const keeps = w.chance(0.5);
    const dims = keeps ? value.dims.toSpliced(at, 1, 1) : value.dims.toSpliced(at, 1);
    const output = { type: 'int64', dims, below: value.dims[at]! } as const;
    return w.op(type, [value], output, { ...attributes, keepdims: BigInt(keeps ? 1 : 0) });
  }
  return w.op(type, [value], float(value.dims), attributes);
};

const normalize: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 1);
  if (value === undefined) return;
  const rank = value.dims.length;
  const channels = value.dims[1]!;
  switch (w.int(5)) {
    case 0: {
      if (w.opset < 17) return;
      const axis = w.axis(rank);
      return w.op('LayerNormalization', [value, w.weights(value.dims.slice(normal(axis, rank)))], float(value.dims), {
        axis: BigInt(axis),
      });
    }
    case 1:
      return (
        rank > 2 &&
        w.op('InstanceNormalization', [value, w.weights([channels]), w.weights([channels])], float(value.dims))
      );
    case 2: {
      const ones = w.tensor('float32', [channels], Array(channels).fill(1.5));
      return w.op(
        'BatchNormalization',
        [value, w.weights([channels]), w.weights([channels]), w.weights([channels]), ones],
        float(value.dims),
      );
    }
    case 3: {
      const axes = value.dims.flatMap((_, axis) => (axis > 0 && w.chance(0.5) ? [axis] : []));
      return w.op('MeanVarianceNormalization', [value], float(value.dims), axes.length > 0 ? { axes: bigs(axes) } : {});
    }
    default:
      return rank === 4 && w.op('LRN', [value], float(value.dims), { size: 3n });
  }
};

const matMul: Step = (w) => {
  const a = w.some('float32', ({ dims }) => dims.length > 0);
  if (a === undefined) return;
  const inner = a.dims.at(-1)!;
  const fits = ({ dims }: RandomValue): boolean =>
    dims.length > 0 &&
    (dims.length === 1 ? dims[0] : dims.at(-2)) === inner &&
    met(a.dims.slice(0, -2), dims.slice(0, -2)) !== undefined;
  const b = w.chance(0.5) ? w.weights([inner, 1 + w.int(3)]) : w.some('float32', fits);
  if (b === undefined) return;
  const batch = met(a.dims.slice(0, -2), b.dims.slice(0, -2))!;
  const dims = [
    ...batch,
    ...(a.dims.length > 1 ? [a.dims.at(-2)!] : []),
    ...(b.dims.length > 1 ? [b.dims.at(-1)!] : []),
  ];
  if (a.dims.length === 2 && b.dims.length === 2 && w.chance(0.4)) {
    const c = partner(w, dims);
    const flips = w.chance(0.3);
    const left = flips ? w.op('Transpose', [a], float(a.dims.toReversed())) : a;
    return w.op('Gemm', [left, b, c], float(dims), flips ? { transA: 1n } : {});
  }
  return w.op('MatMul', [a, b], float(dims));
};

const einsum: Step = (w) => {
  const a = w.some('float32', ({ dims }) => dims.length > 0);
  if (a === undefined || w.opset < 12) return;
  const letters = [...'abcde'].slice(0, a.dims.length);
  const b = w.some('float32', ({ dims }) => dims.length > 0 && dims.length <= 3) ?? a;
  const sizeBy = new Map(letters.map((one, i) => [one, a.dims[i]!]));
  const others = b.dims.map((size, i) => {
    const same = letters.filter((one) => sizeBy.get(one) === size);
    const letter = same.length > 0 && w.chance(0.8) ? w.pick(same) : 'xyz'[i]!;
    sizeBy.set(letter, size);
    return letter;
  });
  if (new Set(others).size < others.length) return;
  const output = [...new Set([...letters, ...others])].filter(() => w.chance(0.7));
  if (output.length === 0) return;
  return w.op('Einsum', [a, b], float(output.map((one) => sizeBy.get(one)!)), {
    equation: `${letters.join('')},${others.join('')}->${output.join('')}`,
  });
};

const image: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length === 3 || dims.length === 4);
  if (value === undefined) return;
  const [batch, channels, ...places] = value.dims as [number, number, ...number[]];
  const kernel = bigs(places.map(() => 1));
  switch (w.int(5)) {
    case 0:
      return w.op('Conv', [value, w.weights([2, channels, ...places.map(() => 1)])], float([batch, 2, ...places]));
    case 1:
      return w.op(w.pick(['MaxPool', 'AveragePool']), [value], float(value.dims), { kernel_shape: kernel });
    case 2:
      return w.op(
        w.pick(['GlobalAveragePool', 'GlobalMaxPool']),
        [value],
        float([batch, channels, ...places.map(() => 1)]),
      );
    case 3: {
      if (w.opset < 11) return;
      const scales = value.dims.map((_, axis) => (axis > 1 && w.chance(0.5) ? 2 : 1));
      const dims = value.dims.map((size, axis) => size * scales[axis]!);
      const mode = w.pick(['nearest', 'linear']);
      const empty = w.tensor('float32', [0], []);
      if (w.chance(0.5)) return w.op('Resize', [value, empty, empty, sizes(w, dims)], float(dims), { mode });
      return w.op('Resize', [value, empty, w.tensor('float32', [scales.length], scales)], float(dims), { mode });
    }
    default: {
      const [height] = places;
      const fits = places.length === 2 && channels % 4 === 0 && height !== undefined;
      return (
        fits &&
        w.op('DepthToSpace', [value], float([batch, channels / 4, places[0]! * 2, places[1]! * 2]), { blocksize: 2n })
      );
    }
  }
};

const quantize: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length > 1);
  if (value === undefined || w.opset < 13) return;
  const rank = value.dims.length;
  const axis = w.axis(rank);
  const size = value.dims[normal(axis, rank)]!;
  const each = w.chance(0.6);
  const scale = w.tensor('float32', each ? [size] : [], Array(each ? size : 1).fill(0.125));
  const [quantized] = w.ops('QuantizeLinear', [value, scale], [], { axis: BigInt(axis) }, 1);
  return w.op('DequantizeLinear', [quantized, scale], float(value.dims), { axis: BigInt(axis) });
};

const learned: Step = (w) => {
  const value = w.some('float32', ({ dims }) => dims.length === 2);
  if (value === undefined) return;
  const [rows, features] = value.dims as [number, number];
  const ones = Array.from({ length: features }, (_, i) => 1 + i / 2);
  switch (w.int(4)) {
    case 0:
      return w.op('ai.onnx.ml:Scaler', [value], float(value.dims), { offset: ones, scale: ones });
    case 1:
      return w.op('ai.onnx.ml:Normalizer', [value], float(value.dims), { norm: w.pick(['L1', 'L2', 'MAX']) });
    case 2:
      return w.op('ai.onnx.ml:ArrayFeatureExtractor', [value, w.ints(w.int(features))], float([rows, 1]));
    default:
      return w.op('ai.onnx.ml:LinearRegressor', [value], float([rows, 1]), { coefficients: ones, intercepts: [0.5] });
  }
};

export const NUMERIC_STEPS: readonly Step[] = [
  unary,
  unary,
  binary,
  binary,
  binary,
  binary,
  reduce,
  reduce,
  along,
  along,
  normalize,
  matMul,
  matMul,
  einsum,
  image,
  image,
  quantize,
  learned,
];
