import type { ChildProcess } from 'node:child_process';
import { backOffMs } from '../backoff.ts';
import type { EngineState, RestartReason } from '../telemetry/metrics/metric-table.ts';
import { inputBytes } from './batch-rows.ts';
import { attachEngine, type Engine, type Loaded, RunError } from './process/engine-process.ts';
import type { JoinedTensor } from './process/frame.ts';
import { spawnEngine } from './process/spawn.ts';

/** How the engines of a pool are started and replaced. */
export interface PoolOptions {
  /** Engine processes of a complete pool, at least 1. */
  readonly size: number;
  /** What each process loads: the engine's `LoadOrder`, or the order of the program that `spawn` starts. */
  readonly order: object;
  /** Starts a process that speaks the frame protocol. Default: an engine process. */
  readonly spawn?: () => ChildProcess;
  /** Milliseconds from a run's start after which its process is killed. */
  readonly runTimeoutMs: number;
  /** Milliseconds that a load may take. Default: ten minutes. */
  readonly loadTimeoutMs?: number;
  /** Bytes of memory that one engine process may take: runs are bounded by it. Default: no bound. */
  readonly memoryLimit?: (() => number) | undefined;
  readonly onRestart?: (reason: RestartReason, detail: string, delayMs: number) => void;
}

/** A place for an engine process, which is replaced when it dies. */
export interface Slot {
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
  /** Runs that its engine has finished. */
  runs: number;
  /** See `MeasuredSlot`. */
  largestRun: number;
  bytesBefore: number | undefined;
  /** Why its engine is to be replaced after its run; undefined if it is not. */
  recycleReason: string | undefined;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;

/**
 * Milliseconds until an engine is replaced: 0 after a single crash; in a crash loop twice as long each time, up to 30 s.
 * @param failures how often the engine ended since the last finished run.
 */
export function restartDelayMs(failures: number): number {
  return failures <= 1 ? 0 : backOffMs(failures - 1, FIRST_DELAY_MS, LONGEST_DELAY_MS);
}

/** Why an engine is replaced that works. */
export type RecycleReason = Extract<RestartReason, 'memory' | 'compiled'>;

/** Starts, replaces and ends the engines of slots. */
export interface Supervisor {
  /** Starts an engine, which then runs the feeds of `setWarmUp`. @throws RunError if it does not load, or fails on them. */
  launch(slot: Slot): Promise<Loaded>;
  /** Starts an engine in the background, and replaces it if that fails. */
  relaunch(slot: Slot): void;
  /** Replaces an engine that ended, after the back-off. */
  replace(slot: Slot, engine: Engine, reason: RestartReason, detail: string): void;
  /** See `Pool.recycle`. */
  recycle(slot: Slot, detail: string, startsFirst: boolean, reason?: RecycleReason): Promise<void>;
  /** Marks an engine as free after its run. */
  release(slot: Slot, engine: Engine): void;
  setWarmUp(feeds: readonly (readonly JoinedTensor[])[]): void;
  onFree(listener: () => void): void;
  onFault(listener: () => void): void;
  close(slots: readonly Slot[]): Promise<void>;
}

/** @param fault see `Pool.fault` */
export function createSupervisor(options: PoolOptions, fault: () => unknown): Supervisor {
  let onFree = (): void => {};
  let onFault = (): void => {};
  let isClosed = false;
  const starter = createStarter(options);

  async function launch(slot: Slot): Promise<Loaded> {
    slot.state = 'starting';
    slot.engine = starter.spawn();
    const { engine } = slot;
    const loaded = await starter.prepare(engine);
    use(slot, engine);
    return loaded;
  }

  function use(slot: Slot, engine: Engine): void {
    slot.engine = engine;
    slot.state = 'idle';
    slot.code = undefined;
    slot.runs = 0;
    slot.largestRun = starter.warmUpBytes();
    slot.bytesBefore = undefined;
    slot.recycleReason = undefined;
    engine.exited.then((how) => replace(slot, engine, 'crash', how));
    onFree();
  }

  function relaunch(slot: Slot): void {
    if (isClosed) return;
    launch(slot).catch((error: Error) => {
      slot.code = error instanceof RunError ? error.code : undefined;
      replace(slot, slot.engine, 'load_failed', error.message);
    });
  }

  function replace(slot: Slot, engine: Engine | undefined, reason: RestartReason, detail: string): void {
    if (isClosed || slot.engine !== engine || slot.state === 'waiting') return;
    const delay = setWaiting(slot, reason, detail);
    options.onRestart?.(reason, detail, delay);
    slot.timer = setTimeout(relaunch, delay, slot);
    if (fault() !== undefined) onFault();
  }

  async function recycle(slot: Slot, detail: string, startsFirst: boolean, reason: RecycleReason = 'memory') {
    const old = slot.engine;
    if (old === undefined || !isWorking(slot)) return;
    if (!startsFirst) {
      slot.recycleReason = detail;
      if (slot.state === 'idle') release(slot, old);
      return;
    }
    const next = starter.spawn();
    await starter.prepare(next);
    // The old one may have ended meanwhile, and have a replacement.
    if (slot.engine !== old || !isWorking(slot)) {
      next.kill();
      return;
    }
    // After its run, `release` ends it.
    if (slot.state === 'idle') old.kill();
    options.onRestart?.(reason, detail, 0);
    use(slot, next);
  }

  function release(slot: Slot, engine: Engine): void {
    if (isClosed) return;
    const isRecycled = slot.recycleReason !== undefined;
    if (isRecycled || slot.engine !== engine) {
      engine.kill();
      if (isRecycled) replace(slot, engine, 'memory', slot.recycleReason!);
      return;
    }
    slot.state = 'idle';
    // The engine gets its next run here, before the outputs of its last run are returned: it works while they are encoded.
    onFree();
  }

  return {
    launch,
    relaunch,
    replace,
    recycle,
    release,
    setWarmUp: starter.setWarmUp,
    onFree(listener) {
      onFree = listener;
    },
    onFault(listener) {
      onFault = listener;
    },
    async close(slots) {
      isClosed = true;
      for (const slot of slots) {
        clearTimeout(slot.timer);
        slot.state = 'closed';
      }
      await starter.close();
    },
  };
}

/** Records the end of a slot's engine. @returns milliseconds until the next engine starts. */
function setWaiting(slot: Slot, reason: RestartReason, detail: string): number {
  // Neither a run that took too long nor its memory is a sign of a broken engine, and such restarts are far apart.
  const isBroken = reason !== 'run_timeout' && reason !== 'memory';
  slot.failures = isBroken ? slot.failures + 1 : 0;
  const delay = restartDelayMs(slot.failures);
  slot.state = 'waiting';
  slot.reason = detail;
  slot.hasFailedToLoad = reason === 'load_failed';
  slot.restartAt = Date.now() + delay;
  return delay;
}

const isWorking = ({ state }: Slot): boolean => state === 'idle' || state === 'busy';

/** Starts the engine processes of a pool, and ends them all. */
interface Starter {
  spawn(): Engine;
  /** Loads the model, and warms the engine up. @throws RunError; the process has been killed then. */
  prepare(engine: Engine): Promise<Loaded>;
  setWarmUp(feeds: readonly (readonly JoinedTensor[])[]): void;
  /** Bytes of the inputs of the largest warm-up run. */
  warmUpBytes(): number;
  /** Kills the processes, and settles when all have exited. */
  close(): Promise<void>;
}

function createStarter({ order, spawn = spawnEngine, runTimeoutMs, loadTimeoutMs }: PoolOptions): Starter {
  const running = new Set<Engine>();
  let warmUp: readonly (readonly JoinedTensor[])[] = [];
  let warmUpBytes = 0;
  let isClosed = false;
  return {
    spawn() {
      const engine = attachEngine(spawn());
      running.add(engine);
      engine.exited.then(() => running.delete(engine));
      return engine;
    },
    async prepare(engine) {
      try {
        const loaded = await engine.load(order, loadTimeoutMs);
        for (const inputs of warmUp) await engine.run(inputs, runTimeoutMs);
        if (isClosed) throw new RunError('crashed', 'the pool was closed');
        return loaded;
      } catch (error) {
        engine.kill();
        throw error;
      }
    },
    setWarmUp(feeds) {
      warmUp = feeds;
      warmUpBytes = Math.max(0, ...feeds.map(inputBytes));
    },
    warmUpBytes: () => warmUpBytes,
    async close() {
      isClosed = true;
      for (const engine of running) engine.kill();
      await Promise.all(Array.from(running, ({ exited }) => exited));
    },
  };
}

/** A slot without an engine. */
export function emptySlot(index: number): Slot {
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
    runs: 0,
    largestRun: 0,
    bytesBefore: undefined,
    recycleReason: undefined,
  };
}
