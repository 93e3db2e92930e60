import { Worker } from 'node:worker_threads';
import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { type ErrorCode, ServingError } from '../errors.ts';

/** Bodies from this size on are parsed in a thread of their own: 256 KiB take about a millisecond. */
const ASIDE_FROM = 262_144;

/** What the parsing thread answers. */
export type Parsed =
  | { readonly id: number; readonly value: JsonValue }
  | { readonly id: number; readonly error: { code: ErrorCode; message: string; path: string | undefined } };

export interface JsonParser {
  /**
   * @returns the value at once for a small body, a promise of it for a large one; a large body's memory is given away.
   * @throws ServingError `INVALID_INPUT` with the byte at which it stops being JSON.
   */
  parse(bytes: Buffer): JsonValue | Promise<JsonValue>;
  close(): void;
}

const source = import.meta.url.endsWith('.ts');
const ENTRY = new URL(source ? './json-thread.ts' : './json-thread.js', import.meta.url);

/** Parses request bodies. The thread starts with the first large body. */
export function createJsonParser(): JsonParser {
  const waiting = new Map<number, { resolve(value: JsonValue): void; reject(error: unknown): void }>();
  let thread: Worker | undefined;
  let nextId = 1;

  function start(): Worker {
    const started = new Worker(ENTRY);
    started.unref();
    started.on('message', (parsed: Parsed) => {
      const owner = waiting.get(parsed.id)!;
      waiting.delete(parsed.id);
      if ('value' in parsed) owner.resolve(parsed.value);
      else owner.reject(new ServingError(parsed.error.code, parsed.error.message, pathOf(parsed.error.path)));
    });
    started.on('error', (cause) => lose(started, cause));
    started.on('exit', () => lose(started, new Error('the parsing thread ended')));
    return started;
  }

  /** A thread that dies of an error tells it twice: the second time its successor may be at work. */
  function lose(ended: Worker, cause: unknown): void {
    if (thread !== ended) return;
    thread = undefined;
    for (const { reject } of waiting.values()) reject(cause);
    waiting.clear();
  }

  function parseAside(bytes: Buffer): Promise<JsonValue> {
    thread ??= start();
    const id = nextId++;
    const own = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : Buffer.from(bytes);
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      thread!.postMessage({ id, bytes: own }, [own.buffer as ArrayBuffer]);
    });
  }

  return {
    parse: (bytes) => (bytes.length < ASIDE_FROM ? readJson(bytes) : parseAside(bytes)),
    close: () => void thread?.terminate(),
  };
}

const pathOf = (path: string | undefined): { path?: string } => (path === undefined ? {} : { path });
