import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { model, node, value } from '../../functions/onnx/proto/build.ts';
import { ALL_TYPES, IDENTITY, LOGARITHM, PAIR, VERSIONED } from '../conformance/fixture.ts';
import type { Column, Columns } from './columns.ts';

/** `c` = `a` + `b`, FP32 [N,S] each: inputs that share two dimensions. */
export const SUM = 'sum';

/** Writes the models of the fuzzer, in addition to those of the conformance checks. */
export function writeFuzzModels(folder: string): void {
  mkdirSync(join(folder, SUM, '1'), { recursive: true });
  const inputs = ['a', 'b'].map((name) => value(name, 'float32', ['N', 'S']));
  const outputs = [value('c', 'float32', ['N', 'S'])];
  const bytes = model({ name: SUM, nodes: [node('Add', ['a', 'b'], ['c'])], inputs, outputs });
  writeFileSync(join(folder, SUM, '1', 'model.onnx'), bytes);
}

/** The outputs of a model for its inputs, with their tolerances; undefined if they are not known. */
interface Known {
  readonly tolerance: number;
  outputs(inputs: Columns): ReadonlyMap<string, Column> | undefined;
}

const renamed = (outputOf: (input: string) => string): Known => ({
  tolerance: 0,
  outputs: (inputs) => new Map([...inputs].map(([name, column]) => [outputOf(name), column])),
});

const mapped = (tolerance: number, change: (value: number) => number): Known => ({
  tolerance,
  outputs: (inputs) => new Map([['y', changed(inputs.get('x')!, (x) => change(x))]]),
});

function changed({ datatype, values }: Column, change: (value: number, at: number) => number): Column {
  const numbers = values.map((value, i) => Math.fround(change(Number(value), i)));
  return { datatype, values: numbers.map((value) => (Object.is(value, -0) ? '-0' : String(value))) };
}

/** Models whose outputs can be computed here. */
export const KNOWN: Readonly<Record<string, Known>> = {
  [ALL_TYPES]: renamed((name) => name.replace(/^in_/, 'out_')),
  [PAIR]: renamed((name) => (name === 'a' ? 'c' : 'd')),
  ...Object.fromEntries(Object.values(IDENTITY).map((name) => [name, renamed(() => 'y')])),
  [LOGARITHM]: mapped(1e-5, Math.log),
  // Without a version, the highest one serves.
  [VERSIONED]: mapped(0, (value) => value + 2),
  [SUM]: {
    tolerance: 0,
    outputs(inputs) {
      const [a, b] = [inputs.get('a')!, inputs.get('b')!];
      // Outputs of broadcast inputs are not compared, only statuses.
      if (a.shape !== b.shape || a.values.length !== b.values.length) return undefined;
      return new Map([['c', changed(a, (value, i) => value + Number(b.values[i]))]]);
    },
  },
};
