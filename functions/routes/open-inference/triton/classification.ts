import { setImmediate as turn } from 'node:timers/promises';
import { ServingError } from '../../../errors.ts';
import { MAX_VALUES } from '../../../tensor/json/reader.ts';
import { type DType, type Tensor, type TensorSpec, valuesOf } from '../../../tensor/tensor.ts';
import { DATATYPES } from '../datatype.ts';

/** Elements that are compared before other requests get their turn: they take a millisecond or two. */
const TURN_ELEMENTS = 65_536;
/** Putting an element into the selection takes as long as comparing so many; taking it out and writing its text twice as long. */
const HEAP_ELEMENTS = 16;

/** An output of scores, and the labels of its elements. */
interface Scored {
  readonly tensor: Tensor;
  /** The output in the signature. */
  readonly spec: TensorSpec;
  /** Whether rows of the model share runs: the output's first dimension is the batch then. */
  readonly joinsRows: boolean;
  /** By class index. They apply to an output that has as many elements in a row. */
  readonly labels: readonly string[] | undefined;
}

/** Whether the elements of a dtype can be ranked. */
export const hasScores = (dtype: DType): boolean => dtype !== 'string' && dtype !== 'bool';

/** Triton's error text for an output whose elements cannot be ranked. */
export const withoutScores = (dtype: DType): string =>
  `class result not available for output due to unsupported type '${DATATYPES[dtype]}'`;

/**
 * Selects the highest `count` elements of each row, the highest first, as texts `score:index` or `score:index:label` (Triton,
 * classification extension; triton-inference-server/server, src/classification.cc). Of equal scores the lower index comes first;
 * NaN comes last.
 * @param cancelled whether the request is cancelled: the selection is ended then, and the result is empty.
 * @returns a string tensor of shape `[rows, min(count, elements of a row)]`; without the first dimension where the model has no
 * batch dimension: the entire output is one row then.
 * @throws ServingError `INVALID_INPUT` for more texts than one response may have.
 */
export async function classify(scored: Scored, count: number, cancelled: () => boolean): Promise<Tensor> {
  const { tensor, spec, joinsRows, labels } = scored;
  const { dims } = tensor;
  const byRow = joinsRows || (dims.length > 1 && spec.shape[0] === -1);
  const rows = byRow ? dims[0]! : 1;
  const width = byRow ? dims.slice(1).reduce((product, dim) => product * dim, 1) : tensor.data.length;
  const most = Math.min(count, width);
  if (rows * most > MAX_VALUES) {
    const message = `classification: expected at most ${MAX_VALUES} classes in one response, got ${rows} rows with ${most} each`;
    throw new ServingError('INVALID_INPUT', message);
  }
  const values = valuesOf(tensor) as Values;
  const write = tensor.dtype.startsWith('float') ? floatText : String;
  const names = labels?.length === width ? labels : undefined;
  const data = new Array<string>(rows * most).fill('');
  let done = 0;
  for (let row = 0; row < rows && most > 0; row++) {
    const first = row * width;
    const best = createSelection(values, most);
    for (let step = 0; step < width + most; step++) {
      if (step < width) {
        if (best.offer(first + step)) done += HEAP_ELEMENTS;
      } else {
        const at = best.takeWorst();
        const rank = width + most - 1 - step;
        const label = names === undefined ? '' : `:${names[at - first]}`;
        data[row * most + rank] = `${write(values[at]!)}:${at - first}${label}`;
        done += 2 * HEAP_ELEMENTS;
      }
      if (++done < TURN_ELEMENTS) continue;
      done = 0;
      await turn();
      if (cancelled()) return { dtype: 'string', dims: byRow ? [0, most] : [0], data: [] };
    }
  }
  return { dtype: 'string', dims: byRow ? [rows, most] : [most], data };
}

type Values = ArrayLike<number | bigint>;

/** As C++'s `std::to_string`, with which Triton writes it: six decimals. */
function floatText(given: number | bigint): string {
  const value = Number(given);
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  // From here on toFixed writes an exponent.
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

const isNotNumber = (value: number | bigint): boolean => typeof value === 'number' && Number.isNaN(value);

/**
 * Creates a selection that keeps the best `count` of the indexes that it is offered, in a heap whose root is the worst of them:
 * n indexes take n × log(count) steps.
 */
function createSelection(values: Values, count: number) {
  const heap: number[] = [];

  /** Whether the value at `a` comes after that at `b`. */
  function isWorse(a: number, b: number): boolean {
    const [one, other] = [values[a]!, values[b]!];
    if (one < other) return true;
    if (one > other) return false;
    // Equal, or one of them is NaN.
    const [noOne, noOther] = [isNotNumber(one), isNotNumber(other)];
    return noOne === noOther ? a > b : noOne;
  }

  function sink(from: number): void {
    let parent = from;
    for (;;) {
      const left = 2 * parent + 1;
      let worst = parent;
      if (left < heap.length && isWorse(heap[left]!, heap[worst]!)) worst = left;
      if (left + 1 < heap.length && isWorse(heap[left + 1]!, heap[worst]!)) worst = left + 1;
      if (worst === parent) return;
      [heap[parent], heap[worst]] = [heap[worst]!, heap[parent]!];
      parent = worst;
    }
  }

  function rise(from: number): void {
    let child = from;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isWorse(heap[child]!, heap[parent]!)) return;
      [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
      child = parent;
    }
  }

  return {
    /** @returns whether it is among the best so far. */
    offer(at: number): boolean {
      if (heap.length < count) {
        heap.push(at);
        rise(heap.length - 1);
        return true;
      }
      if (!isWorse(heap[0]!, at)) return false;
      heap[0] = at;
      sink(0);
      return true;
    },
    takeWorst(): number {
      const worst = heap[0]!;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        sink(0);
      }
      return worst;
    },
  };
}
