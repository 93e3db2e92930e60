import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from '../fuzz/random.ts';

/** The files of a model's folder. */
interface ModelFiles {
  readonly model: Uint8Array;
  readonly manifest: object;
  /** Rows with the outputs that the trainer computed. */
  readonly golden: readonly object[];
}

/** Writes `model.onnx`, `model.json` and `golden.json`. */
export function writeModel(folder: string, { model, manifest, golden }: ModelFiles): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), model);
  writeFileSync(join(folder, 'model.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const rows = golden.map((row) => `    ${JSON.stringify(row)}`).join(',\n');
  writeFileSync(join(folder, 'golden.json'), `{\n  "tolerance": 1e-4,\n  "rows": [\n${rows}\n  ]\n}\n`);
}

/** Writes rows of equal members as CSV, with their names in the first line. No value has a comma or a quote. */
export function writeCsv(path: string, rows: readonly Readonly<Record<string, string | number>>[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const lines = [Object.keys(rows[0]!), ...rows.map(Object.values)].map((cells) => cells.join(','));
  writeFileSync(path, `${lines.join('\n')}\n`);
}

/** A number in [0, 1). */
export const uniform = (random: Random): number => random.int(2 ** 24) / 2 ** 24;

/** A number of a normal distribution with mean 0 and deviation 1, nearly: the sum of twelve uniform ones. */
export const normal = (random: Random): number =>
  Array.from({ length: 12 }, () => uniform(random)).reduce((sum, x) => sum + x, -6);

/** A number for a JSON file: six decimals. */
export const rounded = (x: number): number => Number(x.toFixed(6));

/** The same items in a random order. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}
