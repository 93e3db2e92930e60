import { privateBytes } from './private-bytes.ts';

/** A place for an engine process: see `Slot`. */
export interface MeasuredSlot {
  readonly engine: { readonly pid: number | undefined } | undefined;
  /** Bytes of the inputs of the largest run since the engine has started. */
  largestRun: number;
  /** Bytes of the engine before that run; undefined if they were not measured. */
  bytesBefore: number | undefined;
}

/** Bounds the inputs of runs by the memory that the engine processes of a model are measured to take for them. */
export interface RunMemory {
  /** Measures the first engine, which has loaded the model and run nothing. */
  loaded(slot: MeasuredSlot): void;
  /** Measures an engine before a run that is its largest so far. @param bytes of the run's inputs. */
  starts(slot: MeasuredSlot, bytes: number): void;
  /** Measures an engine after a run: its largest, the next one after that, and others at most every 100 ms. */
  ended(slot: MeasuredSlot): void;
  /** The most bytes of the inputs of the next run. A single row may run whatever it takes. */
  mostBytes(): number;
}

/** Reading the size of a process takes some 20 µs. */
const MEASURE_MS = 100;
/** onnxruntime plans the memory of a shape in its first run, and allocates all of it anew in the second. */
const RUNS_OF_A_SHAPE = 2;

/**
 * A run takes memory in proportion to the bytes of its inputs: for tensors inside the graph, whose sizes only a run shows. onnxruntime
 * keeps that memory, and a larger run rarely fits into it: it takes all of its own in addition. So a run may be larger than those
 * before if what it is expected to take fits beside what the engine has.
 * @param limitBytes bytes of memory that one engine process may take
 * @param bytesOf the bytes of a process; undefined if they cannot be read: then nothing is bounded. Default: {@link privateBytes}.
 * @param now a monotonic clock in milliseconds
 */
export function createRunMemory(
  limitBytes: () => number,
  bytesOf: (pid: number) => number | undefined = privateBytes,
  now = (): number => performance.now(),
): RunMemory {
  /** Bytes of an engine without runs. */
  let idleBytes: number | undefined;
  let measuredAt = Number.NEGATIVE_INFINITY;
  let runsToMeasure = 0;
  let largestRun = 0;
  /** Bytes that an engine has grown by in the first runs that were as large as the largest. */
  let growth = 1;
  let most = Number.POSITIVE_INFINITY;

  function measure({ engine }: MeasuredSlot): number | undefined {
    const pid = engine?.pid;
    return pid === undefined ? undefined : bytesOf(pid);
  }

  /** @param size bytes of an engine */
  function learn(size: number, idle: number): void {
    const limit = limitBytes();
    // Smaller runs do not free what an engine has, but its replacement takes less.
    const fitting = size <= limit ? largestRun : (largestRun * Math.max(0, limit - idle)) / Math.max(1, size - idle);
    most = Math.max(fitting, (largestRun * (limit - size)) / growth);
  }

  return {
    loaded(slot) {
      idleBytes = measure(slot);
      // Nothing is known yet: one row.
      if (idleBytes !== undefined) most = 0;
    },
    starts(slot, bytes) {
      if (bytes <= slot.largestRun) return;
      slot.largestRun = bytes;
      slot.bytesBefore = measure(slot);
      runsToMeasure = RUNS_OF_A_SHAPE;
    },
    ended(slot) {
      if (idleBytes === undefined || (runsToMeasure === 0 && now() - measuredAt < MEASURE_MS)) return;
      const isNew = runsToMeasure > 0;
      if (isNew) runsToMeasure--;
      measuredAt = now();
      const size = measure(slot);
      // An engine that has run less than another says nothing about larger runs.
      if (size === undefined || slot.largestRun < largestRun) return;
      largestRun = slot.largestRun;
      // What it grows by later is V8's heap, which larger runs do not multiply.
      if (isNew) growth = Math.max(1, size - (slot.bytesBefore ?? idleBytes));
      learn(size, idleBytes);
    },
    mostBytes: () => most,
  };
}
