/**
 * Measures `onnx-cloud-run quantize` of the build: size, run time of a row on one thread, and classes that stay, of a perceptron that is
 * trained on synthetic images; and with `--large` the memory of each mode for a model of 500 MB.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initializer, model, node, value } from '../functions/onnx/proto/build.ts';
import type { LabelledImages } from '../test/helpers/trained-models/images.ts';
import { buildIfNeeded } from './build-if-needed.ts';
import { readCommandLine } from './command-line.ts';
import { processTree } from './process-tree.ts';

const USAGE = `usage: node scripts/bench-quantize.ts [--large]

Quantizes a trained perceptron, 784-1024-1024-10, in each mode, and prints sizes,
run times on one thread, and the share of 2000 rows that keep their class.
--large: instead, the peak memory of each mode for a model of 500 MB, with all
of its processes; it takes some minutes and 1.5 GB of the disk.`;

const { values } = readCommandLine(USAGE, { large: { type: 'boolean' } });
const PROGRAM = join(import.meta.dirname, '../dist/cli.js');
buildIfNeeded('ctimeMs');
const folder = mkdtempSync(join(tmpdir(), 'bench-quantize-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const PATH = join(folder, 'model.onnx');

const MODES: readonly (readonly [mode: string, ...options: string[]])[] = [
  ['dynamic'],
  ['static'],
  ['float16'],
  ['weights', '--bits', '4'],
  ['weights', '--bits', '4', '--accuracy-level', '4'],
  ['weights', '--bits', '8'],
];

interface Report {
  readonly comparison: {
    readonly agreement?: { readonly share: number };
    readonly original: { readonly bytes: number; readonly runMs: number };
    readonly result: { readonly bytes: number; readonly runMs: number };
  };
}

async function quantize(options: readonly string[]): Promise<{ report: Report; seconds: number; peakBytes: number }> {
  const output = join(folder, 'result.onnx');
  const args = ['quantize', PATH, '--output', output, '--force', '--json', '--tolerance', '1', '--mode', ...options];
  const started = performance.now();
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let peakBytes = 0;
  const timer = setInterval(() => {
    const bytes = processTree(child.pid!).reduce((sum, pid) => sum + ownBytes(pid), 0);
    peakBytes = Math.max(peakBytes, bytes);
  }, 50);
  const closed = once(child, 'close');
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  await closed;
  clearInterval(timer);
  return { report: JSON.parse(text), seconds: (performance.now() - started) / 1000, peakBytes };
}

/** The proportional share of memory of a process: what several map is counted once. */
function ownBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

async function measurePerceptron(): Promise<void> {
  const { trainMlp } = await import('../test/helpers/trained-models/mlp.ts');
  const { bytes, heldOut, samples } = await trainMlp();
  writeFileSync(PATH, bytes);
  const [rows, calibration] = [join(folder, 'rows.ndjson'), join(folder, 'samples.ndjson')];
  writeFileSync(rows, ndjson(heldOut));
  writeFileSync(calibration, ndjson(samples));
  console.log('| options | file | run of a row, one thread | same class, of 2000 rows |\n| --- | --- | --- | --- |');
  for (const options of MODES) {
    const { report } = await quantize([...options, '--samples', rows, '--rows', '2000']);
    const { original, result, agreement } = report.comparison;
    const size = (result.bytes / original.bytes).toFixed(3);
    const speed = (original.runMs / result.runMs).toFixed(2);
    const share = agreement?.share.toFixed(4);
    const times = `${original.runMs.toFixed(3)} → ${result.runMs.toFixed(3)} ms, ${speed} x as fast`;
    console.log(`| \`--mode ${options.join(' ')}\` | ${size} x | ${times} | ${share} |`);
  }
}

const ndjson = ({ pixels, count }: LabelledImages): string =>
  Array.from(
    { length: count },
    (_, row) => `${JSON.stringify([...pixels.subarray(row * 784, (row + 1) * 784)])}\n`,
  ).join('');

/** Thirty layers of 2048 x 2048 float32, and rows to compare. */
async function measureLarge(): Promise<void> {
  const [layers, size] = [30, 2048];
  const matrix = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i * 12.9898) / 45);
  const bytes = model({
    name: 'large',
    inputs: [value('h0', 'float32', ['rows', size])],
    outputs: [value(`h${layers}`, 'float32', ['rows', size])],
    initializers: Array.from({ length: layers }, (_, i) => initializer(`W${i}`, 'float32', [size, size], matrix)),
    nodes: Array.from({ length: layers }, (_, i) => node('MatMul', [`h${i}`, `W${i}`], [`h${i + 1}`])),
  });
  const file = openSync(PATH, 'w');
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, Math.min(2 ** 26, bytes.length - at));
  closeSync(file);
  const rows = join(folder, 'rows.ndjson');
  const row = Array.from({ length: size }, (_, i) => Math.cos(i));
  writeFileSync(rows, `${JSON.stringify(row)}\n`.repeat(3));
  console.log('| options | file | peak memory | seconds |\n| --- | --- | --- | --- |');
  for (const options of MODES) {
    const { report, peakBytes, seconds } = await quantize([...options, '--samples', rows]);
    const { original, result } = report.comparison;
    const share = (peakBytes / original.bytes).toFixed(2);
    const file = `${(result.bytes / original.bytes).toFixed(3)} x`;
    console.log(`| \`--mode ${options.join(' ')}\` | ${file} | ${share} x | ${seconds.toFixed(1)} |`);
  }
}

await (values.large === true ? measureLarge() : measurePerceptron());
