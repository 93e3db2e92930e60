import { backOffMs } from '../backoff.ts';
import type { EngineState, RestartReason } from '../telemetry/metrics/metric-table.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { attachEngine, type Engine, type Loaded, RunError } from './process/engine-process.ts';
import type { JoinedTensor } from './process/frame.ts';
import type { LoadOrder } from './process/session.ts';
import { spawnEngine } from './process/spawn.ts';

export type { RestartReason };

interface PoolOptions {
  /** Engine processes of a complete pool, at least 1. */
  readonly size: number;
  readonly order: LoadOrder;
  /** Milliseconds from a run's start after which its process is killed. */
  readonly runTimeoutMs: number;
  /** Milliseconds that a load may take. Default: ten minutes. */
  readonly loadTimeoutMs?: number;
  readonly onRestart?: (reason: RestartReason, detail: string, delayMs: number) => void;
}

/** The state of one engine process, for status pages and metrics. */
export interface EngineView {
  /** Its place in the pool, from 0 on: a replacement has that of the process that died. */
  readonly slot: number;
  readonly pid: number | undefined;
  readonly state: EngineState;
}

/** A crash loop. */
export interface PoolFault {
  /** Why the last engine ended. */
  readonly reason: string;
  readonly code: RunError['code'];
  /** Milliseconds until the next engine starts. */
  readonly retryInMs: number;
  /**
   * Whether rows that are queued already should be rejected: the last engine did not load, or {@link PERSISTENT_FAILURES} in a row
   * ended. After fewer ends during runs, the next engine runs the rows that did not cause them.
   */
  readonly persists: boolean;
}

/** Engine processes of one loaded model, each replaced when it dies. */
export interface Pool {
  /** Settles when the first engine has loaded the model. The others start with `grow`. @throws RunError if it does not load. */
  start(): Promise<Loaded>;
  /**
   * Starts the other engines in the background.
   * @param warmUp the inputs of the runs that each of them, and each later replacement, does before it is free.
   * @param engines how many there are then, the first included. Default: the size of the pool.
   */
  grow(warmUp: readonly (readonly JoinedTensor[])[], engines?: number): void;
  /** Engines that could start a run now. */
  free(): number;
  /** Engines that are free or running. */
  working(): number;
  /**
   * Runs on a free engine.
   * @param inputs a tensor for each input, in the order of the signature.
   * @param timeoutMs shortens `runTimeoutMs`; a longer one has no effect.
   * @returns a tensor for each output, in the order of the signature, of its dtype: views of one frame, whose memory the caller
   * owns.
   * @throws RunError; Error if no engine is free.
   */
  run(inputs: readonly JoinedTensor[], timeoutMs?: number): Promise<Tensor[]>;
  /** @param listener called whenever an engine becomes free. It replaces the one before. */
  onFree(listener: () => void): void;
  /** @param listener called whenever an engine has ended, or has failed to load, and `fault` returns a fault. */
  onFault(listener: () => void): void;
  /** The crash loop for which rows cannot run. Undefined while an engine works, or starts after a single crash. */
  fault(): PoolFault | undefined;
  engines(): EngineView[];
  /** Kills the processes, and settles when all have exited. */
  close(): Promise<void>;
}

/** A place for an engine process, which is replaced when it dies. */
interface Slot {
  readonly index: number;
  engine: Engine | undefined;
  state: EngineState;
  /** How often its engine ended or failed to load since the last finished run. */
  failures: number;
  /** Why the last engine ended. */
  reason: string;
  /** Whether the last engine ended before it had loaded the model and run the warm-up. */
  hasFailedToLoad: boolean;
  /** The code of the last load that failed. */
  code: RunError['code'];
  /** While `state` is `waiting`: `Date.now()` when the next engine starts. */
  restartAt: number;
  timer: NodeJS.Timeout | undefined;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** A row that ends its engine costs two: so two such rows in one run, or three one after the other, are below this. */
const PERSISTENT_FAILURES = 5;

/**
 * Milliseconds until an engine is replaced: 0 after a single crash; in a crash loop twice as long each time, up to 30 s.
 * @param failures how often the engine ended since the last finished run.
 */
export function restartDelayMs(failures: number): number {
  return failures <= 1 ? 0 : backOffMs(failures - 1, FIRST_DELAY_MS, LONGEST_DELAY_MS);
}

/** Creates the pool of one model. `start` starts its first engine process. */
export function createPool(options: PoolOptions): Pool {
  const slots = Array.from({ length: options.size }, (_, index) => emptySlot(index));
  const supervisor = createSupervisor(options, () => faultOf(slots));

  return {
    start: () => supervisor.launch(slots[0]!),

    grow(feeds, engines = slots.length) {
      supervisor.setWarmUp(feeds);
      for (const slot of slots.slice(0, engines)) if (slot.engine === undefined) supervisor.relaunch(slot);
    },

    free: () => slots.reduce((count, slot) => count + (slot.state === 'idle' ? 1 : 0), 0),
    working: () => slots.reduce((count, { state }) => count + (state === 'idle' || state === 'busy' ? 1 : 0), 0),

    async run(inputs, timeoutMs = options.runTimeoutMs) {
      // The lowest free slot, so that light traffic keeps one engine's caches warm.
      const slot = slots.find(({ state }) => state === 'idle');
      if (slot === undefined) throw new Error('no engine is free: run was called while free() was 0');
      const engine = slot.engine!;
      slot.state = 'busy';
      try {
        const outputs = await engine.run(inputs, Math.min(timeoutMs, options.runTimeoutMs));
        slot.failures = 0;
        supervisor.release(slot, engine);
        return outputs;
      } catch (error) {
        const fault = error instanceof RunError ? error.fault : 'failed';
        if (fault === 'timed-out') supervisor.replace(slot, engine, 'run_timeout', (error as Error).message);
        else if (fault === 'failed') supervisor.release(slot, engine);
        throw error;
      }
    },

    onFree: supervisor.onFree,
    onFault: supervisor.onFault,
    fault: () => faultOf(slots),
    engines: () => slots.map(({ index, engine, state }) => ({ slot: index, pid: engine?.pid, state })),
    close: () => supervisor.close(slots),
  };
}

/** Starts, replaces and ends the engines of slots. */
interface Supervisor {
  /** Starts an engine, which then runs the feeds of `setWarmUp`. @throws RunError if it does not load, or fails on them. */
  launch(slot: Slot): Promise<Loaded>;
  /** Starts an engine in the background, and replaces it if that fails. */
  relaunch(slot: Slot): void;
  /** Replaces an engine that ended, after the back-off. */
  replace(slot: Slot, engine: Engine, reason: RestartReason, detail: string): void;
  /** Marks an engine as free after its run. */
  release(slot: Slot, engine: Engine): void;
  setWarmUp(feeds: readonly (readonly JoinedTensor[])[]): void;
  onFree(listener: () => void): void;
  onFault(listener: () => void): void;
  close(slots: readonly Slot[]): Promise<void>;
}

function createSupervisor(
  { order, runTimeoutMs, loadTimeoutMs, onRestart }: PoolOptions,
  fault: Pool['fault'],
): Supervisor {
  let onFree = (): void => {};
  let onFault = (): void => {};
  let warmUp: readonly (readonly JoinedTensor[])[] = [];
  let isClosed = false;

  async function launch(slot: Slot): Promise<Loaded> {
    slot.state = 'starting';
    const engine = attachEngine(spawnEngine());
    slot.engine = engine;
    try {
      const loaded = await engine.load(order, loadTimeoutMs);
      for (const inputs of warmUp) await engine.run(inputs, runTimeoutMs);
      if (isClosed) throw new RunError('crashed', 'the pool was closed');
      slot.state = 'idle';
      slot.code = undefined;
      engine.exited.then((how) => replace(slot, engine, 'crash', how));
      onFree();
      return loaded;
    } catch (error) {
      engine.kill();
      throw error;
    }
  }

  function relaunch(slot: Slot): void {
    if (isClosed) return;
    launch(slot).catch((error: Error) => {
      slot.code = error instanceof RunError ? error.code : undefined;
      replace(slot, slot.engine!, 'load_failed', error.message);
    });
  }

  function replace(slot: Slot, engine: Engine, reason: RestartReason, detail: string): void {
    if (isClosed || slot.engine !== engine || slot.state === 'waiting') return;
    // A run that took too long is no sign of a broken engine, and such restarts are at least `runTimeoutMs` apart.
    slot.failures = reason === 'run_timeout' ? 0 : slot.failures + 1;
    const delay = restartDelayMs(slot.failures);
    slot.state = 'waiting';
    slot.reason = detail;
    slot.hasFailedToLoad = reason === 'load_failed';
    slot.restartAt = Date.now() + delay;
    onRestart?.(reason, detail, delay);
    slot.timer = setTimeout(relaunch, delay, slot);
    if (fault() !== undefined) onFault();
  }

  return {
    launch,
    relaunch,
    replace,
    release(slot, engine) {
      if (isClosed || slot.engine !== engine) return;
      slot.state = 'idle';
      // The engine gets its next run here, before the outputs of its last run are returned: it works while they are encoded.
      onFree();
    },
    setWarmUp(feeds) {
      warmUp = feeds;
    },
    onFree(listener) {
      onFree = listener;
    },
    onFault(listener) {
      onFault = listener;
    },
    async close(slots) {
      isClosed = true;
      await Promise.all(slots.map(end));
    },
  };
}

async function end(slot: Slot): Promise<void> {
  clearTimeout(slot.timer);
  slot.state = 'closed';
  slot.engine?.kill();
  await slot.engine?.exited;
}

function emptySlot(index: number): Slot {
  return {
    index,
    engine: undefined,
    state: 'closed',
    failures: 0,
    reason: '',
    hasFailedToLoad: false,
    code: undefined,
    restartAt: 0,
    timer: undefined,
  };
}

function faultOf(slots: readonly Slot[]): PoolFault | undefined {
  // A single crash is no loop: its replacement is starting, and will run the rows that wait.
  const isWorking = slots.some(({ state }) => state === 'idle' || state === 'busy');
  if (isWorking) return undefined;
  const looping = slots.filter(({ failures, state }) => failures > 1 && state !== 'closed');
  if (looping.length === 0) return undefined;
  const next = looping.reduce((soonest, slot) => (slot.restartAt < soonest.restartAt ? slot : soonest));
  const persists = looping.some(({ hasFailedToLoad, failures }) => hasFailedToLoad || failures >= PERSISTENT_FAILURES);
  return { reason: next.reason, code: next.code, retryInMs: Math.max(0, next.restartAt - Date.now()), persists };
}
