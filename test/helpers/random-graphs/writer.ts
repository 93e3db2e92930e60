import type { AttributeValue } from '../../../functions/onnx/proto/attribute.ts';
import { initializer, node } from '../../../functions/onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import type { Random } from '../../../scripts/fuzz/random.ts';

export type ElementType = 'float32' | 'int64' | 'bool';

/** A value of a random graph, with what it is in a run of one row. */
export interface RandomValue {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  /** Of a small list of sizes. */
  readonly elements?: readonly number[];
  /** Indices: every element is from 0 to below this. */
  readonly below?: number;
}

/** Nodes and constants of a graph while it is written. */
export class Writer {
  readonly random: Random;
  readonly opset: number;
  readonly nodes: NodeProto[] = [];
  readonly constants: TensorProto[] = [];
  readonly values: RandomValue[] = [];
  #names = 0;

  constructor(random: Random, opset: number) {
    this.random = random;
    this.opset = opset;
  }

  name(): string {
    return `v${this.#names++}`;
  }

  int(below: number): number {
    return this.random.int(below);
  }

  pick<T>(items: readonly T[]): T {
    return this.random.pick(items);
  }

  chance(share: number): boolean {
    return this.random.chance(share);
  }

  /** Some value of a type, mostly a late one; undefined where none fits. */
  some(type: ElementType, fits: (value: RandomValue) => boolean = () => true): RandomValue | undefined {
    const found = this.values.filter((value) => value.type === type && value.dims.length <= 5 && fits(value));
    if (found.length === 0) return undefined;
    return this.chance(0.6) ? found[Math.max(0, found.length - 1 - this.int(3))] : this.pick(found);
  }

  /** One node with one output. */
  op(
    type: string,
    inputs: readonly (RandomValue | undefined)[],
    output: Omit<RandomValue, 'name'>,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): RandomValue {
    return this.ops(type, inputs, [output], attributes)[0]!;
  }

  ops(
    type: string,
    inputs: readonly (RandomValue | undefined)[],
    outputs: readonly Omit<RandomValue, 'name'>[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    hidden = 0,
  ): RandomValue[] {
    const [operator, domain] = type.split(':').toReversed() as [string, string | undefined];
    const results = outputs.map((output) => ({ ...output, name: this.name() }));
    // Values that no other step may pick: sequences.
    const others = Array.from({ length: hidden }, () => ({ ...float([]), name: this.name() }));
    this.nodes.push(
      node(
        operator,
        inputs.map((input) => input?.name ?? ''),
        [...results, ...others].map(({ name }) => name),
        attributes,
        domain === undefined ? {} : { domain },
      ),
    );
    this.values.push(...results.filter(({ dims }) => dims.every((size) => size < 64)));
    return [...results, ...others];
  }

  /** A constant list of integers. */
  ints(...list: number[]): RandomValue {
    return this.tensor('int64', [list.length], list);
  }

  scalar(value: number): RandomValue {
    return this.tensor('int64', [], [value]);
  }

  tensor(type: ElementType, dims: readonly number[], data: readonly number[]): RandomValue {
    const name = `c${this.constants.length}`;
    this.constants.push(initializer(name, type, dims, data));
    return { name, type, dims, elements: data };
  }

  /** A constant of floats. */
  weights(dims: readonly number[]): RandomValue {
    const count = dims.reduce((all, size) => all * size, 1);
    const data = Array.from({ length: count }, () => (this.int(33) - 16) / 8);
    const { name } = this.tensor('float32', dims, data);
    return { name, ...float(dims) };
  }

  /** An axis as an attribute or input has it, from either end. */
  axis(rank: number): number {
    return this.int(rank) - (this.chance(0.4) ? rank : 0);
  }
}

export const count = (dims: readonly number[]): number => dims.reduce((all, size) => all * size, 1);
export const normal = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
export const float = (dims: readonly number[]): Omit<RandomValue, 'name'> => ({ type: 'float32', dims });
export const bigs = (list: readonly number[]): bigint[] => list.map(BigInt);

/** The dims that two meet to by broadcasting; undefined where they do not. */
export function met(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const dims = Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    return left === right || right === 1 ? left : left === 1 ? right : Number.NaN;
  });
  return dims.some(Number.isNaN) ? undefined : dims;
}
