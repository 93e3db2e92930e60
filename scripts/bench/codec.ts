/**
 * Compares the tensor codec with JSON.parse and JSON.stringify in one run: `node scripts/bench/codec.ts`. The baselines check neither
 * shapes nor ranges nor lost digits.
 */

import { decodeNested } from '../../functions/tensor/decode.ts';
import { encodeNested, encodeRow } from '../../functions/tensor/encode.ts';
import { type JsonValue, readJson } from '../../functions/tensor/json/reader.ts';
import { DTYPES, type DType, type Tensor } from '../../functions/tensor/tensor.ts';
import { figure, table } from './table.ts';

/** A measurement of the same work by this codec and by JavaScript's JSON. */
interface Contest {
  readonly title: string;
  /** Values of one call, for the time of each value. */
  readonly values: number;
  readonly ours: () => unknown;
  readonly baseline: () => unknown;
}

const ROUNDS = 12;
const ROUND_MS = 25;
const IMAGE = [3, 224, 224];
const IMAGE_VALUES = 150_528;

let sink: unknown;

/** Nanoseconds of a call, the best of alternating rounds, so that a busy machine affects both alike. */
function race({ ours, baseline }: Contest): [number, number] {
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const calls = [ours, baseline].map(callsPerRound);
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of [0, 1] as const) {
      const run = side === 0 ? ours : baseline;
      const start = performance.now();
      for (let i = 0; i < calls[side]!; i++) sink = run();
      best[side] = Math.min(best[side], ((performance.now() - start) * 1e6) / calls[side]!);
    }
  }
  return best;
}

/** Also warms the code up. */
function callsPerRound(run: () => unknown): number {
  const start = performance.now();
  let calls = 0;
  for (; calls < 8 || performance.now() - start < 4 * ROUND_MS; calls++) sink = run();
  return Math.max(1, Math.round((calls * ROUND_MS) / (performance.now() - start)));
}

function copyInto(value: number[] | unknown[], into: Float32Array, offset: number): number {
  if (typeof value[0] === 'number') {
    into.set(value as number[], offset);
    return offset + value.length;
  }
  let at = offset;
  for (const inner of value as unknown[][]) at = copyInto(inner, into, at);
  return at;
}

function decodeContest(title: string, rows: unknown, shape: readonly number[], values: number): Contest {
  const body = Buffer.from(JSON.stringify({ features: rows }));
  return {
    title: `${title}, ${body.length} B`,
    values,
    ours: () => {
      const { features } = readJson(body) as Record<string, JsonValue>;
      return decodeNested(features!, 'float32', shape, 'features');
    },
    baseline: () => {
      const { features } = JSON.parse(body.toString()) as { features: number[] };
      const data = new Float32Array(values);
      copyInto(features, data, 0);
      return data;
    },
  };
}

function image(value: () => number): number[][][] {
  const [channels, height, width] = IMAGE as [number, number, number];
  return Array.from({ length: channels }, () =>
    Array.from({ length: height }, () => Array.from({ length: width }, value)),
  );
}

function encodeContest(title: string, dtype: DType, value: () => number): Contest {
  const data = DTYPES[dtype].make(IMAGE_VALUES) as Float32Array;
  for (let i = 0; i < data.length; i++) data[i] = value();
  const tensor: Tensor = { dtype, dims: [IMAGE_VALUES], data };
  return {
    title,
    values: IMAGE_VALUES,
    ours: () => encodeNested(tensor),
    baseline: () => JSON.stringify(Array.from(data)),
  };
}

function rowContest(): Contest {
  const tensor: Tensor = { dtype: 'float32', dims: [64, 3], data: Float32Array.from({ length: 192 }, Math.random) };
  const data = tensor.data as Float32Array;
  let row = 0;
  return {
    title: 'encode a row of 3 float32',
    values: 3,
    ours: () => encodeRow(tensor, row++ & 63),
    baseline: () => {
      const at = (row++ & 63) * 3;
      return JSON.stringify(Array.from(data.subarray(at, at + 3)));
    },
  };
}

const records = Buffer.from(JSON.stringify({ features: { age: 41, city: 'Oslo', income: 52000.5, member: true } }));
const contests: Contest[] = [
  decodeContest('decode 4 numbers', [5.1, 3.5, 1.4, 0.2], [4], 4),
  {
    title: `read a record of 4 names, ${records.length} B`,
    values: 4,
    ours: () => readJson(records),
    baseline: () => JSON.parse(records.toString()),
  },
  decodeContest(
    'decode an image of 0 to 255',
    image(() => Math.floor(Math.random() * 256)),
    IMAGE,
    IMAGE_VALUES,
  ),
  decodeContest(
    'decode an image, 6 decimals',
    image(() => Math.round(Math.random() * 1e6) / 1e6),
    IMAGE,
    IMAGE_VALUES,
  ),
  decodeContest(
    'decode an image, float32 as doubles',
    image(() => Math.fround(Math.random() * 4 - 2)),
    IMAGE,
    IMAGE_VALUES,
  ),
  decodeContest('decode an image, doubles', image(Math.random), IMAGE, IMAGE_VALUES),
  rowContest(),
  encodeContest('encode 150528 float32', 'float32', Math.random),
  encodeContest('encode 150528 float32, 2 decimals', 'float32', () => Math.round(Math.random() * 100) / 100),
  encodeContest('encode 150528 float64', 'float64', Math.random),
  encodeContest('encode 150528 uint8', 'uint8', () => Math.random() * 256),
];

const rows = contests.map((contest) => {
  const [ours, baseline] = race(contest);
  return [
    contest.title,
    figure(ours),
    figure(baseline),
    figure(ours / contest.values),
    `${(baseline / ours).toFixed(2)}x`,
  ];
});
console.log(table(['work', 'ours, ns', 'JSON, ns', 'ours, ns/value', 'JSON/ours'], rows));
if (sink === undefined) throw new Error('nothing was measured');
