import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createGcsSource } from '../../../functions/model/sources/gcs/gcs.ts';
import { type Entry, type Source, SourceError } from '../../../functions/model/sources/source.ts';
import { type StorageOptions, type StorageServer, startStorage } from '../../helpers/storage-server.ts';
import { find, pattern } from './contract.ts';

export const NEVER = new AbortController().signal;
export const SIZE = 1_000_003;
export const BYTES = pattern(SIZE);
export const PLACES = { start: 0, middle: SIZE >> 1, end: SIZE - 1 };
/** Of the sources of these tests: real time that no machine takes, and a fake clock that passes it at once. */
export const STALL_MS = 10_000;
export const PATH = 'm/model.onnx';

export interface GcsKit {
  readonly server: StorageServer;
  readonly source: Source;
  readonly entry: Entry;
}

/** A server with one object, and a source for its bucket that has listed it. */
export async function setUp(t: TestContext, storage: StorageOptions = {}): Promise<GcsKit> {
  const server = await startStorage(storage);
  t.after(() => server.close());
  server.put('models', PATH, BYTES);
  const source = createGcsSource('gs://models', { endpoint: server.url, stallMs: STALL_MS });
  t.after(() => source.close());
  return { server, source, entry: await find(source, PATH) };
}

/** Reads all of it, and gives what was taken also where it fails; no byte of it may be wrong. @param onTaken gets how far it has come. */
export async function readSome(
  source: Source,
  entry: Entry,
  start = 0,
  onTaken: (at: number) => void = () => {},
): Promise<{ taken: number; error: SourceError | undefined }> {
  let at = start;
  const error = await source
    .read(
      entry,
      start,
      SIZE,
      (chunk) => {
        assert.ok(BYTES.subarray(at, at + chunk.length).equals(chunk), `wrong bytes from ${at}`);
        at += chunk.length;
        onTaken(at);
      },
      NEVER,
    )
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  assert.ok(error === undefined || error instanceof SourceError, String((error as Error)?.stack));
  return { taken: at - start, error };
}

/** Gives what moves the clock and its timers on at once, as a pause of the whole process does. */
export function useClock(t: TestContext): (ms: number) => void {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  return (ms) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
}

/** Lets time pass, once the server has got a request of it, until it ends: what is stalled fails then. */
export async function untilStalled<T>(
  { requests }: StorageServer,
  pass: (ms: number) => void,
  act: () => Promise<T>,
): Promise<T> {
  const before = requests.length;
  let over = false;
  const acting = act().finally(() => {
    over = true;
  });
  acting.catch(() => {});
  while (requests.length === before && !over) await turn();
  while (!over) {
    pass(STALL_MS);
    await turn();
  }
  return acting;
}
