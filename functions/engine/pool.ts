import { backOffMs } from '../backoff.ts';
import type { EngineState, RestartReason } from '../telemetry/metrics/metric-table.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { attachEngine, type Engine, type Loaded, RunError } from './engine-process.ts';
import type { JoinedTensor } from './frame.ts';
import type { LoadOrder } from './session.ts';
import { spawnEngine } from './spawn.ts';

export type { RestartReason };

export interface PoolOptions {
  readonly size: number;
  readonly order: LoadOrder;
  /** Milliseconds from a run's start after which its process is killed. */
  readonly runTimeoutMs: number;
  /** Milliseconds that a load may take; ten minutes unless told. */
  readonly loadTimeoutMs?: number;
  readonly onRestart?: (reason: RestartReason, detail: string, delayMs: number) => void;
}

export interface EngineView {
  readonly slot: number;
  readonly pid: number | undefined;
  readonly state: EngineState;
}

export interface PoolFault {
  readonly reason: string;
  readonly code: RunError['code'];
  readonly retryInMs: number;
}

/** Engine processes of one loaded model, each replaced when it dies. */
export interface Pool {
  /** Settles when the first engine has the model. The others start behind it, once `grow` is called. */
  start(): Promise<Loaded>;
  /** Starts the other engines, up to `engines` in all where that is given; each runs the feeds of `warmUp` before it takes work, and so does every later replacement. */
  grow(warmUp: readonly (readonly JoinedTensor[])[], engines?: number): void;
  /** Engines that could start a run now. */
  free(): number;
  /**
   * Runs on a free engine.
   * @param inputs one an input, in the order of the signature, without the optional ones left out.
   * @param timeoutMs a bound tighter than the pool's own.
   * @returns one an output, in the order of the signature. Their memory is the caller's.
   * @throws RunError; Error when none is free.
   */
  run(inputs: readonly JoinedTensor[], timeoutMs?: number): Promise<Tensor[]>;
  /** Called whenever an engine becomes free. */
  onFree(listener: () => void): void;
  /** Why nothing can run and nothing is about to: the crash loop's reason. Undefined while an engine works, or starts after a single crash. */
  fault(): PoolFault | undefined;
  engines(): EngineView[];
  /** Kills what runs, and settles when every process is gone. */
  close(): Promise<void>;
}

interface Slot {
  readonly index: number;
  engine: Engine | undefined;
  state: EngineState;
  /** Ends in a row without a finished run between them. */
  failures: number;
  reason: string;
  code: RunError['code'];
  restartAt: number;
  timer: NodeJS.Timeout | undefined;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;

/** A lone crash is replaced at once; a loop waits twice as long each time, up to 30 s. */
export function restartDelayMs(failures: number): number {
  return failures <= 1 ? 0 : backOffMs(failures - 1, FIRST_DELAY_MS, LONGEST_DELAY_MS);
}

/** Starts no process yet: `start` does. */
export function createPool(options: PoolOptions): Pool {
  const slots: Slot[] = Array.from({ length: options.size }, (_, index) => ({
    index,
    engine: undefined,
    state: 'closed',
    failures: 0,
    reason: '',
    code: undefined,
    restartAt: 0,
    timer: undefined,
  }));
  let listener = (): void => {};
  let warmUp: readonly (readonly JoinedTensor[])[] = [];
  let closed = false;

  async function launch(slot: Slot): Promise<Loaded> {
    slot.state = 'starting';
    const engine = attachEngine(spawnEngine());
    slot.engine = engine;
    try {
      const loaded = await engine.load(options.order, options.loadTimeoutMs);
      for (const inputs of warmUp) await engine.run(inputs, options.runTimeoutMs);
      if (closed) throw new RunError('crashed', 'the pool was closed');
      slot.state = 'idle';
      slot.code = undefined;
      engine.exited.then((how) => replace(slot, engine, 'crash', how));
      listener();
      return loaded;
    } catch (error) {
      engine.kill();
      throw error;
    }
  }

  function relaunch(slot: Slot): void {
    launch(slot).catch((error: Error) => {
      slot.code = error instanceof RunError ? error.code : undefined;
      replace(slot, slot.engine!, 'load_failed', error.message);
    });
  }

  function replace(slot: Slot, engine: Engine, reason: RestartReason, detail: string): void {
    if (closed || slot.engine !== engine || slot.state === 'waiting') return;
    // A run that took too long says nothing of the engine, and its own length keeps such restarts apart.
    slot.failures = reason === 'run_timeout' ? 0 : slot.failures + 1;
    const delay = restartDelayMs(slot.failures);
    slot.state = 'waiting';
    slot.reason = detail;
    slot.restartAt = Date.now() + delay;
    options.onRestart?.(reason, detail, delay);
    slot.timer = setTimeout(relaunch, delay, slot);
  }

  return {
    start: () => launch(slots[0]!),

    grow(feeds, engines = slots.length) {
      warmUp = feeds;
      if (closed) return;
      for (const slot of slots.slice(0, engines)) if (slot.engine === undefined) relaunch(slot);
    },

    free: () => slots.reduce((count, slot) => count + (slot.state === 'idle' ? 1 : 0), 0),

    async run(inputs, timeoutMs = options.runTimeoutMs) {
      // The lowest free slot, so that light traffic keeps one engine's caches warm.
      const slot = slots.find(({ state }) => state === 'idle');
      if (slot === undefined) throw new Error('no engine is free');
      const engine = slot.engine!;
      slot.state = 'busy';
      try {
        const outputs = await engine.run(inputs, Math.min(timeoutMs, options.runTimeoutMs));
        slot.failures = 0;
        release(slot, engine);
        return outputs;
      } catch (error) {
        const fault = error instanceof RunError ? error.fault : 'failed';
        if (fault === 'timed-out') replace(slot, engine, 'run_timeout', (error as Error).message);
        else if (fault === 'failed') release(slot, engine);
        throw error;
      }
    },

    onFree: (called) => {
      listener = called;
    },

    fault() {
      // One crash is no loop: its replacement is on the way, and what waits will be answered.
      const working = slots.some((slot) => slot.state === 'idle' || slot.state === 'busy');
      const down = slots.filter((slot) => slot.failures > 1 && slot.state !== 'closed');
      if (working || down.length === 0) return undefined;
      const next = down.reduce((soonest, slot) => (slot.restartAt < soonest.restartAt ? slot : soonest));
      return { reason: next.reason, code: next.code, retryInMs: Math.max(0, next.restartAt - Date.now()) };
    },

    engines: () => slots.map(({ index, engine, state }) => ({ slot: index, pid: engine?.pid, state })),

    async close() {
      closed = true;
      await Promise.all(
        slots.map(async (slot) => {
          clearTimeout(slot.timer);
          slot.state = 'closed';
          slot.engine?.kill();
          await slot.engine?.exited;
        }),
      );
    },
  };

  function release(slot: Slot, engine: Engine): void {
    if (closed || slot.engine !== engine) return;
    slot.state = 'idle';
    // The engine gets its next run here, before the outputs of its last go back to their owners: it works while they are encoded.
    listener();
  }
}
