import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry, Source } from '../source.ts';
import type { CacheEvent } from './cache-event.ts';
import {
  allocateChunk,
  CHUNK_BYTES,
  chunkLength,
  type EntryKeys,
  HEADER_BYTES,
  openChunk,
  sealChunk,
} from './chunk-codec.ts';
import type { Link } from './connection.ts';
import { type FillLock, isLockValue } from './fill-lock.ts';

/** One entry of a source with Redis in front of it. */
export interface EntryCache {
  /** As a source's. */
  read(start: number, end: number, take: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<void>;
  /** Nobody reads for the time being: lets others fill, and gives back memory. */
  rest(): Promise<void>;
}

export interface EntryCacheOptions {
  readonly source: Source;
  readonly entry: Entry;
  readonly keys: EntryKeys;
  readonly link: Link;
  readonly lock: FillLock;
  readonly ttlSeconds: number;
  /** How long another instance that fills may store nothing before it is no longer waited for. */
  readonly waitMs: number;
  readonly onEvent: (event: CacheEvent) => void;
}

/** Bytes of one chunk that a read wants, by their places in the entry. */
interface Span {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** A chunk on its way from the source, in the place where its value is made. */
interface Filling {
  readonly value: Buffer;
  filled: number;
}

type Take = (chunk: Uint8Array) => void;

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 250;
/** A filler that goes on, but elsewhere in the entry, is not waited for without end. */
const LONGEST_WAITS = 4;

export function createEntryCache(options: EntryCacheOptions): EntryCache {
  const { source, entry, keys, link, lock, ttlSeconds, waitMs, onEvent } = options;
  /** What was given to readers, by chunk. */
  const given = new Map<number, Span>();
  /** Chunks whose read broke off: its next attempt goes on with them. */
  const broken = new Map<number, Filling>();
  const filling = new Map<number, Promise<unknown>>();
  let patient = true;

  async function read(start: number, end: number, take: Take, signal: AbortSignal): Promise<void> {
    for (let at = start; at < end; ) {
      signal.throwIfAborted();
      if (link.isLeftAlone()) {
        onEvent({ kind: 'skipped', why: 'left_alone' });
        return source.read(entry, at, end, take, signal);
      }
      const index = Math.floor(at / CHUNK_BYTES);
      const to = Math.min(end, (index + 1) * CHUNK_BYTES);
      await readChunk({ index, from: at, to }, take, signal);
      at = to;
    }
  }

  async function readChunk(span: Span, take: Take, signal: AbortSignal): Promise<void> {
    const { index, from, to } = span;
    // Nobody reads a byte twice but to replace a file whose checksum was wrong: Redis may have been the reason.
    const doubted = overlap(given.get(index), span);
    const waitUntil = performance.now() + LONGEST_WAITS * waitMs;
    const told = new Set<string>();
    for (;;) {
      const found = doubted ? 'garbage' : await unlessAborted(look(index), signal);
      if (Buffer.isBuffer(found)) return hand(span, found, take);
      if (found === undefined) break;
      if (!doubted && !told.has(found))
        onEvent(found === 'miss' ? { kind: found } : { kind: found, key: keys.chunk(index) });
      told.add(found);
      const whose = await unlessAborted(lock.take(), signal);
      // Whoever had the lock until now may have stored the chunk after it was looked for.
      if (whose === 'taken' && !doubted) continue;
      if (whose === 'taken' || whose === 'held') {
        const other = filling.get(index);
        if (other === undefined) return fill(span, take, signal);
        await unlessAborted(other, signal);
        continue;
      }
      // Under a key that holds something already it cannot be seen when the chunk comes.
      if (whose === undefined || found === 'garbage' || !patient) break;
      const waited = await wait(index, waitUntil, signal);
      if (waited === 'stuck') patient = false;
      if (waited !== 'free') break;
    }
    await source.read(entry, from, to, take, signal);
  }

  /** A chunk's bytes as Redis has them; undefined where it did not answer. */
  async function look(index: number): Promise<Buffer | 'miss' | 'garbage' | undefined> {
    const key = keys.chunk(index);
    const length = chunkLength(entry, index);
    // One byte more than there should be: enough to know that it is another value, however long that one is.
    const value = await link.ask(['GETRANGE', key, '0', String(HEADER_BYTES + length)]);
    if (value === undefined) return undefined;
    if (Buffer.isBuffer(value) && value.length === 0) return 'miss';
    return openChunk(key, value, length) ?? 'garbage';
  }

  function hand(span: Span, chunk: Buffer, take: Take): void {
    const base = span.index * CHUNK_BYTES;
    onEvent({ kind: 'hit', bytes: span.to - span.from });
    take(chunk.subarray(span.from - base, span.to - base));
    given.set(span.index, union(given.get(span.index), span));
  }

  /** Reads the whole chunk from the source, hands on what is wanted of it as it comes, and stores it. */
  async function fill(span: Span, take: Take, signal: AbortSignal): Promise<void> {
    const work = readAndStore(span, take, signal);
    const settled = work.then(
      () => filling.delete(span.index),
      () => filling.delete(span.index),
    );
    filling.set(span.index, settled);
    await work;
  }

  async function readAndStore({ index, from, to }: Span, take: Take, signal: AbortSignal): Promise<void> {
    const base = index * CHUNK_BYTES;
    const length = chunkLength(entry, index);
    const own = broken.get(index) ?? { value: allocateChunk(length), filled: 0 };
    broken.delete(index);
    let at = from;

    function handOn(): void {
      const until = Math.min(to, base + own.filled);
      if (until <= at) return;
      const chunk = own.value.subarray(HEADER_BYTES + at - base, HEADER_BYTES + until - base);
      given.set(index, union(given.get(index), { index, from: at, to: until }));
      at = until;
      take(chunk);
    }

    handOn();
    try {
      await source.read(
        entry,
        base + own.filled,
        base + length,
        (piece) => {
          own.value.set(piece, HEADER_BYTES + own.filled);
          own.filled += piece.length;
          handOn();
        },
        signal,
      );
    } catch (error) {
      broken.set(index, own);
      throw error;
    }
    await unlessAborted(save(index, own.value), signal);
  }

  async function save(index: number, value: Buffer): Promise<void> {
    const key = keys.chunk(index);
    sealChunk(key, value);
    const reply = await link.store(['SET', key, value, 'EX', String(ttlSeconds)]);
    if (reply === 'OK') {
      lock.progress();
      onEvent({ kind: 'stored', bytes: value.length - HEADER_BYTES });
    } else if (link.isClosedToStores()) await lock.release();
  }

  /**
   * Waits for a chunk that another instance is to store.
   * @returns `free` as soon as it is there or nobody is about to store it; `stuck` where that one has stored nothing
   * within the bound; `silent` where Redis does not answer.
   */
  async function wait(index: number, waitUntil: number, signal: AbortSignal): Promise<'free' | 'stuck' | 'silent'> {
    const key = keys.chunk(index);
    const wanted = HEADER_BYTES + chunkLength(entry, index);
    const startedAt = performance.now();
    let movedAt = startedAt;
    let seen: string | undefined;
    const end = <T>(outcome: T, came: boolean): T => {
      onEvent({ kind: 'waited', ms: performance.now() - startedAt, came });
      return outcome;
    };
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)) {
      const asked = Promise.all([link.ask(['STRLEN', key]), link.ask(['GET', keys.lock])]);
      const [length, holder] = await unlessAborted(asked, signal);
      if (length === undefined || holder === undefined) return end('silent', false);
      if (length === wanted) return end('free', true);
      if (!isLockValue(holder)) return end('free', false);
      const now = performance.now();
      const value = holder.toString('latin1');
      if (seen !== undefined && value !== seen) movedAt = now;
      seen = value;
      if (now - movedAt > waitMs || now > waitUntil) return end('stuck', false);
      await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  return {
    read,
    async rest() {
      broken.clear();
      patient = true;
      await lock.release();
    },
  };
}

function overlap(a: Span | undefined, b: Span): boolean {
  return a !== undefined && a.from < b.to && b.from < a.to;
}

function union(a: Span | undefined, b: Span): Span {
  return a === undefined ? b : { index: b.index, from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) };
}

/** The reader need not wait for what has a bound of its own: it is left to itself. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
