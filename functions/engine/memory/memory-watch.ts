import { backOffMs } from '../../backoff.ts';
import type { EngineView } from '../pool.ts';
import type { CgroupMemory } from './cgroup-memory.ts';
import { reserveBytes } from './memory-pressure.ts';
import { privateBytes } from './private-bytes.ts';

/** An engine process whose memory is watched. */
export interface WatchedEngine extends EngineView {
  readonly model: string;
  /** See `Pool.recycle`. */
  recycle(detail: string, startsFirst: boolean): Promise<void>;
}

interface MemoryWatchOptions {
  readonly engines: () => readonly WatchedEngine[];
  /** Reads the memory of the control group; undefined if it has no limit. */
  readonly readCgroup: (() => CgroupMemory | undefined) | undefined;
  /** Called when the replacement of an engine has not loaded. */
  readonly onFailure: (model: string, error: unknown) => void;
  /** Default: {@link privateBytes}. */
  readonly bytesOf?: (pid: number) => number | undefined;
  /** A monotonic clock in milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
}

/** Replaces engine processes that have grown, before the kernel kills one in the middle of a run. */
export interface MemoryWatch {
  /** Compares the memory of all engines, and replaces at most one. Settles when it is replaced. Never rejects. */
  check(): Promise<void>;
  stop(): void;
}

/** The size of an engine, from its first runs: onnxruntime's arenas reach it then. */
interface Size {
  readonly startedAt: number;
  bytes: number;
}

interface Grown {
  readonly engine: WatchedEngine;
  readonly size: Size;
  readonly growth: number;
}

const CHECK_MS = 5000;
const FIRST_RUNS = 256;
/** Above this part of the limit, the engine that has grown most is replaced. */
const LIMIT_SHARE = 0.9;
/** To replace an engine that has grown by less frees too little. */
const LEAST_GROWTH_BYTES = 32 * 2 ** 20;
const LEAST_GROWTH_SHARE = 0.25;
/** The growth of an engine that is replaced although memory is not short: to three times its size, and this much. */
const MOST_GROWTH_BYTES = 512 * 2 ** 20;
const MOST_GROWTH_SHARE = 2;
/** A replacement may load to more than the size of an engine that works. */
const LOAD_FACTOR = 1.25;
const FIRST_DELAY_MS = 60_000;
const LONGEST_DELAY_MS = 24 * 3_600_000;

/**
 * Watches the engines, every 5 s, with a timer that does not keep the process alive. Replacements are a minute apart, and each one
 * that grows again within twice the last pause doubles the pause, up to a day: a model that needs the memory is left alone.
 */
export function createMemoryWatch(options: MemoryWatchOptions): MemoryWatch {
  const { engines, readCgroup, onFailure, bytesOf = privateBytes, now = () => performance.now() } = options;
  const sizes = new Map<number, Size>();
  let isReplacing = false;
  let replacements = 0;
  let pauseMs = 0;
  let pausedUntil = Number.NEGATIVE_INFINITY;

  /** The engine that has grown most since its first runs. */
  function mostGrown(): Grown | undefined {
    const pids = new Set<number>();
    let most: Grown | undefined;
    for (const engine of engines()) {
      const { pid, state, runs } = engine;
      const bytes = pid === undefined || (state !== 'idle' && state !== 'busy') ? undefined : bytesOf(pid);
      if (bytes === undefined) continue;
      pids.add(pid!);
      const size = sizes.get(pid!) ?? { startedAt: now(), bytes };
      sizes.set(pid!, size);
      if (runs <= FIRST_RUNS) size.bytes = Math.max(size.bytes, bytes);
      const growth = bytes - size.bytes;
      if (most === undefined || growth > most.growth) most = { engine, size, growth };
    }
    for (const pid of sizes.keys()) if (!pids.has(pid)) sizes.delete(pid);
    return most;
  }

  function pause(age: number): void {
    replacements = age > 2 * pauseMs ? 1 : replacements + 1;
    pauseMs = backOffMs(replacements, FIRST_DELAY_MS, LONGEST_DELAY_MS);
    pausedUntil = now() + pauseMs;
  }

  async function check(): Promise<void> {
    const grown = mostGrown();
    if (grown === undefined || isReplacing || now() < pausedUntil) return;
    const memory = readCgroup?.();
    if (!isTooLarge(grown, memory)) return;
    const { engine, size } = grown;
    pause(now() - size.startedAt);
    isReplacing = true;
    try {
      await engine.recycle(describe(grown, memory), hasRoom(memory, size.bytes));
    } catch (error) {
      onFailure(engine.model, error);
    } finally {
      isReplacing = false;
    }
  }

  const timer = setInterval(() => void check(), CHECK_MS).unref();
  return { check, stop: () => clearInterval(timer) };
}

function isTooLarge({ growth, size }: Grown, memory: CgroupMemory | undefined): boolean {
  const isShort = memory !== undefined && memory.usedBytes > LIMIT_SHARE * memory.limitBytes;
  const [bytes, share] = isShort ? [LEAST_GROWTH_BYTES, LEAST_GROWTH_SHARE] : [MOST_GROWTH_BYTES, MOST_GROWTH_SHARE];
  return growth > Math.max(bytes, share * size.bytes);
}

/** Whether a second engine of this size fits below the memory limit. */
function hasRoom(memory: CgroupMemory | undefined, bytes: number): boolean {
  if (memory === undefined) return true;
  const { limitBytes, usedBytes } = memory;
  return usedBytes + LOAD_FACTOR * bytes < limitBytes - reserveBytes(limitBytes);
}

function describe({ engine, size, growth }: Grown, memory: CgroupMemory | undefined): string {
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  const grown = `it has grown from ${mebibytes(size.bytes)} to ${mebibytes(size.bytes + growth)} in ${engine.runs} runs`;
  if (memory === undefined) return grown;
  return `${grown}, and ${mebibytes(memory.usedBytes)} of the memory limit of ${mebibytes(memory.limitBytes)} are in use`;
}
