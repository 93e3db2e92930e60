import { model, value } from '../../../functions/onnx/proto/build.ts';
import type { NodeProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import type { Random } from '../../../scripts/fuzz/random.ts';
import { type Feed, floats, ids } from '../graphs/feeds.ts';
import { CONTROL_STEPS } from './control.ts';
import { FUSED_STEPS } from './fused.ts';
import { LAYOUT_STEPS, type Step } from './layout.ts';
import { NUMERIC_STEPS } from './numeric.ts';
import { SELECTION_STEPS } from './selection.ts';
import { type RandomValue, Writer } from './writer.ts';

const STEPS: readonly Step[] = [
  ...LAYOUT_STEPS,
  ...NUMERIC_STEPS,
  ...SELECTION_STEPS,
  ...CONTROL_STEPS,
  ...FUSED_STEPS,
];
const OPSETS = [9, 11, 12, 13, 15, 17, 18, 21];

export interface RandomGraph {
  /** The values that are floats and begin with an axis of the size 1 in a run of one row. */
  readonly candidates: readonly RandomValue[];
  readonly feeds: (random: Random, rows: number) => ReturnType<Feed['make']>[];
  /** The file with some of the values as its outputs. */
  readonly build: (outputs: readonly RandomValue[]) => Uint8Array<ArrayBuffer>;
}

/** A graph of some nodes over one input of floats or two, and one of indices. The same random numbers give the same graph. */
export function randomGraph(random: Random): RandomGraph {
  const w = new Writer(random, random.pick(OPSETS));
  const size = (): number => 1 + random.int(4);
  const shape = Array.from({ length: random.int(4) }, size);
  const inputs: (Feed & { name: string })[] = [{ name: 'x', ...floats(shape, { special: random.chance(0.5) }) }];
  if (random.chance(0.4)) {
    inputs.push({
      name: 'y',
      ...floats(random.chance(0.5) ? shape : Array.from({ length: random.int(3) }, size), { special: false }),
    });
  }
  const below = size();
  if (random.chance(0.5)) inputs.push({ name: 'i', ...ids(Array.from({ length: random.int(3) }, size), below) });
  const declared = inputs.map(({ name, dtype, shape: [, ...dims] }) => {
    w.values.push({
      name,
      type: dtype as 'float32' | 'int64',
      dims: [1, ...(dims as number[])],
      ...(dtype === 'int64' && { below }),
    });
    return value(name, dtype, ['N', ...dims.map((one, axis) => (random.chance(0.4) ? `${name}${axis}` : one))]);
  });
  const length = 3 + random.int(10);
  for (let tries = 0; w.nodes.length < length && tries < 60; tries++) random.pick(STEPS)(w);
  const candidates = w.values.slice(inputs.length).filter(({ type, dims }) => type === 'float32' && dims[0] === 1);
  return {
    candidates,
    feeds: (from, rows) => inputs.map(({ make }) => make(from, rows)),
    build: (outputs) =>
      model({
        name: 'random',
        ...needed(w, outputs),
        inputs: declared,
        outputs: outputs.map(({ name }) => value(name, 'float32')),
        opset: w.opset,
        mlOpset: 3,
        opsets: { 'com.microsoft': 1 },
      }),
  };
}

/** The nodes and constants that some values come from: onnxruntime would run the others as well, and fail where one fails. */
function needed({ nodes, constants }: Writer, outputs: readonly RandomValue[]) {
  const names = new Set(outputs.map(({ name }) => name));
  const kept: NodeProto[] = [];
  for (const one of nodes.toReversed()) {
    if (!one.output.some((name) => names.has(name))) continue;
    kept.unshift(one);
    const inner = one.attribute.flatMap(({ g }) => g?.node.flatMap(({ input }) => input) ?? []);
    for (const name of [...one.input, ...inner]) names.add(name);
  }
  return { nodes: kept, initializers: constants.filter(({ name }) => names.has(name)) };
}
