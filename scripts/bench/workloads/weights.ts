import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { attachEngine, type Engine } from '../../../functions/engine/process/engine-process.ts';
import type { CompiledFiles } from '../../../functions/engine/process/model-source.ts';
import type { LoadOrder } from '../../../functions/engine/process/session.ts';
import { startEngine } from '../../../functions/engine/process/spawn.ts';
import { keyOf, sealEntry, targetIn } from '../../../functions/model/compiled/entry.ts';
import { identity } from '../../../test/helpers/models.ts';
import { startLimited } from '../limited-start.ts';
import { COLUMNS, writeMatrixModel } from '../matrix-model.ts';
import { canMeasureMemory, treePss } from '../memory.ts';
import { type Bar, judge, ratios, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'weights';
const atMost = (limit: number, unit: string, of: string): Bar => ({ want: 'at most', limit, unit, of });
const BARS = {
  packedLoad: atMost(0.5, 'x', 'load of two engines, packed / copied'),
  mappedLoad: atMost(0.35, 'x', 'load of two engines, mapped / copied'),
  compiledLoad: atMost(0.35, 'x', 'load of two engines, compiled / copied'),
  packedMemory: atMost(0.9, 'x', 'PSS of two engines, packed / copied'),
  mappedMemory: atMost(0.55, 'x', 'PSS of two engines, mapped / copied'),
  compiledMemory: atMost(0.55, 'x', 'PSS of two engines, compiled / copied'),
  packedPeak: atMost(2.2, 'x', 'peak of one engine that loads, packed / file'),
  mappedPeak: atMost(1.25, 'x', 'peak of one engine that loads, mapped / file'),
  fourth: atMost(80, 'MB', 'PSS of a fourth engine, mapped'),
  fourthCompiled: atMost(80, 'MB', 'PSS of a fourth engine, compiled'),
  limited: atMost(1, 'x', 'peak from a bucket / memory limit of 1.6 x file + 256 MiB'),
};

/** 420 MB of weights; a fifth of it for a rough run. */
const MATRICES = 25;
const QUICK_MATRICES = 5;
const RUN_TIMEOUT_MS = 60_000;

const CHOICES = ['copied', 'packed', 'mapped', 'compiled'] as const;
type Choice = (typeof CHOICES)[number];
type Orders = Readonly<Record<Choice, Pick<LoadOrder, 'weights' | 'compiled'>>>;

/** One round of a contestant. MB are 10^6 bytes. */
interface Figures {
  /** Milliseconds until two engines, which start together, have loaded the model. */
  readonly loadMs: number;
  /** MB of two engines after a run of each. */
  readonly pair: number;
  /** MB of memory that the first engine took while it loaded, beyond that of an empty engine. */
  readonly peak: number;
  /** Milliseconds of a run of 1 and of 64 rows. */
  readonly runMs: readonly [number, number];
  /** MB of the fourth engine; undefined unless it was started. */
  readonly fourth: number | undefined;
}

export const weights: Workload = {
  name: NAME,
  title: 'engine processes of a model of 25 matrices of 2048 x 2048, 420 MB, on one thread each',
  bars: Object.values(BARS),
  async run(bench) {
    if (!canMeasureMemory) return this.bars.map((bar) => unmeasured(NAME, bar, 'needs /proc of Linux'));
    const product = bench.product(bench.inputs.models.iris);
    if (product === undefined) return this.bars.map((bar) => unmeasured(NAME, bar, NOT_BUILT));
    const program = join(dirname(product.command.at(-1)!), 'engine.js');
    const folder = mkdtempSync(join(tmpdir(), 'bench-weights-'));
    try {
      const path = join(folder, 'matrices.onnx');
      const bytes = writeMatrixModel(path, bench.quick ? QUICK_MATRICES : MATRICES);
      const megabytes = bytes / 1e6;
      const empty = join(folder, 'empty.onnx');
      writeFileSync(empty, identity());
      const orders: Orders = {
        copied: { weights: { copied: 'to compare' } },
        packed: { weights: 'packed' },
        mapped: { weights: 'mapped' },
        compiled: { weights: 'packed', compiled: await compile(program, path, folder) },
      };
      const measured: Record<Choice, Figures[]> = { copied: [], packed: [], mapped: [], compiled: [] };
      for (let round = 0; round < bench.rounds; round += 1) {
        for (const choice of CHOICES) measured[choice].push(await measure(program, choice, orders, path, empty));
      }
      console.log(tableOf(measured));
      const limit = Math.round(1.6 * bytes) + 256 * 2 ** 20;
      const peakInBucket = await startLimited(product, path, limit);
      const { copied, packed, mapped, compiled } = measured;
      const of = (figures: readonly Figures[], pick: (one: Figures) => number): number[] => figures.map(pick);
      const against = (own: readonly Figures[], pick: (one: Figures) => number) =>
        ratios(of(own, pick), of(copied, pick));
      const peak = (own: readonly Figures[]) => spread(of(own, (one) => one.peak / megabytes));
      return [
        judge(
          NAME,
          BARS.packedLoad,
          against(packed, ({ loadMs }) => loadMs),
        ),
        judge(
          NAME,
          BARS.mappedLoad,
          against(mapped, ({ loadMs }) => loadMs),
        ),
        judge(
          NAME,
          BARS.compiledLoad,
          against(compiled, ({ loadMs }) => loadMs),
        ),
        judge(
          NAME,
          BARS.packedMemory,
          against(packed, ({ pair }) => pair),
        ),
        judge(
          NAME,
          BARS.mappedMemory,
          against(mapped, ({ pair }) => pair),
        ),
        judge(
          NAME,
          BARS.compiledMemory,
          against(compiled, ({ pair }) => pair),
        ),
        judge(NAME, BARS.packedPeak, peak(packed)),
        judge(NAME, BARS.mappedPeak, peak(mapped)),
        judge(NAME, BARS.fourth, spread(of(mapped, ({ fourth }) => fourth!))),
        judge(NAME, BARS.fourthCompiled, spread(of(compiled, ({ fourth }) => fourth!))),
        peakInBucket === undefined
          ? unmeasured(NAME, BARS.limited, 'needs the right to make control groups')
          : judge(NAME, BARS.limited, spread([peakInBucket / limit])),
      ];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

function tableOf(measured: Readonly<Record<Choice, readonly Figures[]>>): string {
  const rows = Object.entries(measured).map(([choice, figures]) => {
    const median = (pick: (one: Figures) => number): string => figure(spread(figures.map(pick)).median);
    return [choice, median(({ loadMs }) => loadMs), median(({ pair }) => pair), median(({ peak }) => peak)].concat(
      median(({ runMs }) => runMs[0]),
      median(({ runMs }) => runMs[1]),
      figures[0]!.fourth === undefined ? '-' : median(({ fourth }) => fourth!),
    );
  });
  const head = ['weights', 'load of two, ms', 'two, MB', 'peak, MB', 'run of 1, ms', 'of 64, ms', 'fourth, MB'];
  return table(head, rows);
}

/** Has an engine compile the model, as the server does. */
async function compile(program: string, path: string, folder: string): Promise<CompiledFiles> {
  const engine = attachEngine(startEngine(program));
  try {
    await engine.load({ path, intraOpThreads: 1, executionProviders: ['cpu'], compileTo: targetIn(folder) });
    return await sealEntry(folder, keyOf({ runtime: '', cpu: '' }, ''));
  } finally {
    engine.kill();
    await engine.exited;
  }
}

async function measure(program: string, choice: Choice, orders: Orders, path: string, empty: string): Promise<Figures> {
  const engines: Engine[] = [];
  const order = (file: string): LoadOrder => ({
    path: file,
    intraOpThreads: 1,
    executionProviders: ['cpu'],
    weights: 'packed',
    ...(file === path && orders[choice]),
  });
  // An engine that has loaded another model has loaded onnxruntime.
  async function start(): Promise<Engine> {
    const engine = attachEngine(startEngine(program));
    engines.push(engine);
    await engine.load(order(empty));
    return engine;
  }
  async function run(engine: Engine, rows: number): Promise<number> {
    const parts = [new Float32Array(rows * COLUMNS).fill(0.5)];
    const started = performance.now();
    await engine.run([{ slot: 0, dtype: 'float32', dims: [rows, COLUMNS], parts }], RUN_TIMEOUT_MS);
    return performance.now() - started;
  }
  try {
    const pair = [await start(), await start()] as const;
    const before = peakOf(pair[0]);
    const started = performance.now();
    await Promise.all(pair.map((engine) => engine.load(order(path))));
    const loadMs = performance.now() - started;
    const peak = peakOf(pair[0]) - before;
    for (const engine of pair) await run(engine, 1);
    const memory = pssOf(engines);
    const runMs = [await run(pair[0], 1), await run(pair[0], 64)] as const;
    let fourth: number | undefined;
    if (choice === 'mapped' || choice === 'compiled') {
      const third = await start();
      await third.load(order(path));
      await run(third, 1);
      const three = pssOf(engines);
      const last = await start();
      await last.load(order(path));
      await run(last, 1);
      fourth = pssOf(engines) - three;
    }
    return { loadMs, pair: memory, peak, runMs, fourth };
  } finally {
    for (const engine of engines) engine.kill();
    await Promise.all(engines.map(({ exited }) => exited));
  }
}

/** The PSS of the engines in MB. */
function pssOf(engines: readonly Engine[]): number {
  return engines.reduce((sum, { pid }) => sum + treePss(pid!), 0);
}

/** The largest resident set of an engine so far, mapped pages included, in MB. */
function peakOf({ pid }: Engine): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1];
  return (Number(kib) * 1024) / 1e6;
}
