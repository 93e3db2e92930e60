import type { EngineState, RestartReason } from '../telemetry/metrics/metric-table.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { inputBytes } from './batch-rows.ts';
import { createRunMemory } from './memory/run-memory.ts';
import { type Loaded, RunError } from './process/engine-process.ts';
import type { JoinedTensor } from './process/frame.ts';
import { createSupervisor, emptySlot, type PoolOptions, type RecycleReason, type Slot } from './supervisor.ts';

export type { RestartReason };

/** The state of one engine process, for status pages and metrics. */
export interface EngineView {
  /** Its place in the pool, from 0 on: a replacement has that of the process that died. */
  readonly slot: number;
  readonly pid: number | undefined;
  readonly state: EngineState;
  /** Runs that the process has finished since it was ready. */
  readonly runs: number;
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
  /** The most bytes of the inputs of the next run if it has several rows: see `RunMemory`. Infinite without a memory limit. */
  mostRunBytes(): number;
  /** @param listener called whenever an engine becomes free. It replaces the one before. */
  onFree(listener: () => void): void;
  /** @param listener called whenever an engine has ended, or has failed to load, and `fault` returns a fault. */
  onFault(listener: () => void): void;
  /** The crash loop for which rows cannot run. Undefined while an engine works, or starts after a single crash. */
  fault(): PoolFault | undefined;
  engines(): EngineView[];
  /**
   * Replaces an engine that takes too much memory, or can share its weights, without the loss of a run.
   * @param startsFirst whether the replacement is loaded and warm before the engine ends, which takes the memory of both. Otherwise
   * the engine ends after its run, and the replacement starts then.
   * @param detail for `onRestart`, which is called once the engine is replaced
   * @param reason the reason too. Default: memory
   * @throws RunError if the replacement does not load: the engine stays.
   */
  recycle(slot: number, detail: string, startsFirst: boolean, reason?: RecycleReason): Promise<void>;
  /** Kills the processes, and settles when all have exited. */
  close(): Promise<void>;
}

/** A row that ends its engine costs two: so two such rows in one run, or three one after the other, are below this. */
const PERSISTENT_FAILURES = 5;

/** Creates the pool of one model. `start` starts its first engine process. */
export function createPool(options: PoolOptions): Pool {
  const slots = Array.from({ length: options.size }, (_, index) => emptySlot(index));
  const supervisor = createSupervisor(options, () => faultOf(slots));
  const memory = options.memoryLimit && createRunMemory(options.memoryLimit);

  return {
    async start() {
      const loaded = await supervisor.launch(slots[0]!);
      memory?.loaded(slots[0]!);
      return loaded;
    },

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
      memory?.starts(slot, inputBytes(inputs));
      try {
        const outputs = await engine.run(inputs, Math.min(timeoutMs, options.runTimeoutMs));
        slot.failures = 0;
        slot.runs++;
        // Before it gets its next run.
        if (slot.engine === engine) memory?.ended(slot);
        supervisor.release(slot, engine);
        return outputs;
      } catch (error) {
        const fault = error instanceof RunError ? error.fault : 'failed';
        if (fault === 'timed-out') supervisor.replace(slot, engine, 'run_timeout', (error as Error).message);
        else if (fault === 'failed') supervisor.release(slot, engine);
        throw error;
      }
    },

    mostRunBytes: () => memory?.mostBytes() ?? Number.POSITIVE_INFINITY,
    onFree: supervisor.onFree,
    onFault: supervisor.onFault,
    fault: () => faultOf(slots),
    engines: () => slots.map(({ index, engine, state, runs }) => ({ slot: index, pid: engine?.pid, state, runs })),
    recycle: (slot, detail, startsFirst, reason) => supervisor.recycle(slots[slot]!, detail, startsFirst, reason),
    close: () => supervisor.close(slots),
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
