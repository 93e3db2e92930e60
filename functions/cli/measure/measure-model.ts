import type { Feeds } from '../../engine/batch-rows.ts';
import { type EngineOrder, type MeasuredEngine, openEngine } from './engine.ts';
import type { ProcessMemory } from './memory.ts';
import { bestBatch, DEFAULT_SIZES, measureRuns, type RunTime } from './runs.ts';

/** A model as it was measured on this machine, in one engine process. */
export interface Measurement extends Pick<MeasuredEngine, 'startMs' | 'before'> {
  readonly threads: number;
  /** The median of the loads. */
  readonly loadMs: number;
  /** After the load, and after all runs; undefined if this system does not have it. */
  readonly loadedMemory: ProcessMemory | undefined;
  readonly memory: ProcessMemory | undefined;
  readonly runs: readonly RunTime[];
  /** See {@link bestBatch}. */
  readonly best: RunTime | undefined;
}

interface MeasureOptions extends EngineOrder {
  /** Rows to run; see `measureRuns`. It gets the engine, which has the signature. None: runs are not measured. */
  readonly rowsFor: (engine: MeasuredEngine) => Promise<readonly Feeds[]> | readonly Feeds[];
  /** Rows of a run. Give `[1]` for a model whose rows are not joined. It is called after `rowsFor`. */
  readonly sizes?: () => readonly number[];
  readonly budgetMs?: number;
  /** How often the model is loaded, each time in a new process. Default: 3. */
  readonly loads?: number;
  /** Called with each step, its number and that of all steps. */
  readonly onStep?: (what: string, done: number, steps: number) => void;
}

/**
 * Loads a model a few times, each time in an engine process of its own, and measures runs in the last.
 * @throws ServingError `MODEL_FAILED` if it does not load
 */
export async function measureModel(options: MeasureOptions): Promise<Measurement> {
  const { rowsFor, loads = 3, onStep, budgetMs, threads = 1 } = options;
  const loadTimes: number[] = [];
  let done = 0;
  let steps = loads + DEFAULT_SIZES.length;
  for (;;) {
    onStep?.('loading', done++, steps);
    const engine = await openEngine(options);
    try {
      loadTimes.push(engine.loadMs);
      // Runs are measured in the last process.
      if (loadTimes.length < loads) continue;
      const loadedMemory = engine.memory();
      const rows = await rowsFor(engine);
      const sizes = options.sizes?.() ?? DEFAULT_SIZES;
      steps = loads + sizes.length;
      const onSize = (size: number): void =>
        onStep?.(`runs of ${size === 1 ? '1 row' : `${size} rows`}`, done++, steps);
      const runs =
        rows.length === 0
          ? []
          : await measureRuns(engine, rows, { sizes, onSize, ...(budgetMs !== undefined && { budgetMs }) });
      const { startMs, before } = engine;
      const loadMs = loadTimes.toSorted((a, b) => a - b)[Math.floor(loadTimes.length / 2)]!;
      return { threads, startMs, before, loadMs, loadedMemory, memory: engine.memory(), runs, best: bestBatch(runs) };
    } finally {
      await engine.close();
    }
  }
}
