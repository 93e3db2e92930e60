import type { Readable } from 'node:stream';
import { type Entry, SourceError } from '../source.ts';
import { type Attempted, explain, explainThrown } from './errors.ts';
import type { Flight } from './request-guard.ts';

export interface ObjectRequest {
  readonly entry: Entry;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly attempted: Attempted;
}

/** What Google's client wants to know of a request, and gives as its answer. */
interface Asked {
  readonly uri: string;
  readonly qs: Readonly<Record<string, string>>;
  readonly headers: Record<string, string>;
}
type Answer = Readable & { readonly statusCode: number; readonly headers: Readonly<Record<string, string>> };

const LONGEST_REFUSAL = 4_096;

/**
 * Asks for stored bytes of one generation of an object, and hands them on as they come.
 * @throws SourceError; what `take` throws.
 */
export function receive(
  ask: (asked: Asked) => Readable,
  wanted: ObjectRequest,
  take: (chunk: Uint8Array) => void,
  flight: Flight,
): Promise<void> {
  const { entry, start, end, attempted } = wanted;
  const whole = start === 0 && end === entry.bytes;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(explainThrown(attempted, error));
    ask({
      uri: '',
      qs: { alt: 'media', generation: entry.stamp },
      headers: {
        // The stored bytes of a compressed object come only to who says that he can read them.
        'Accept-Encoding': entry.gzip ? 'gzip' : 'identity',
        'Cache-Control': 'no-store',
        ...(!whole && { Range: `bytes=${start}-${end - 1}` }),
      },
    })
      .on('error', fail)
      .on('response', (answer: Answer) => {
        answer.on('error', fail);
        flight.alive();
        if (answer.statusCode !== 200 && answer.statusCode !== 206) {
          readRefusal(answer, attempted).then(reject, reject);
          return;
        }
        const wrong = findWrong(answer, wanted);
        if (wrong !== undefined) {
          reject(wrong);
          return;
        }
        handOn(answer, wanted, take, flight).then(resolve, reject);
        // Behind the answer the client has a row of further streams, each of which costs time for every chunk.
        queueMicrotask(() => {
          answer.unpipe();
          answer.resume();
        });
      })
      .resume();
  });
}

/** Why an answer's bytes cannot be the ones that were asked for. */
function findWrong(
  { headers, statusCode }: Answer,
  { entry, start, attempted }: ObjectRequest,
): SourceError | undefined {
  const { place } = attempted;
  const generation = headers['x-goog-generation'];
  if (generation !== undefined && generation !== entry.stamp)
    return new SourceError('changed', `${place}: generation ${generation} in place of ${entry.stamp}`);
  const stored = headers['x-goog-stored-content-encoding'] ?? (entry.gzip ? 'gzip' : 'identity');
  if ((stored === 'gzip') !== entry.gzip)
    return new SourceError('changed', `${place}: stored as ${stored} in place of what was listed`);
  const compressed = headers['content-encoding'] === 'gzip';
  if (compressed !== entry.gzip)
    return new SourceError('transient', `${place}: was ${compressed ? '' : 'de'}compressed on its way`);
  const range = headers['content-range'];
  if (statusCode === 206 && !range?.startsWith(`bytes ${start}-`))
    return new SourceError('transient', `${place}: answered ${range ?? 'an unknown range'}, not from byte ${start}`);
  return undefined;
}

function handOn(
  answer: Answer,
  { start, end, attempted }: ObjectRequest,
  take: (chunk: Uint8Array) => void,
  flight: Flight,
): Promise<void> {
  // An answer to the whole object, where a range was asked for, begins before it.
  let skip = answer.statusCode === 200 ? start : 0;
  let left = end - start;
  let done = false;
  return new Promise((resolve, reject) => {
    answer.on('data', (chunk: Uint8Array) => {
      if (done || flight.over) return;
      const from = Math.min(skip, chunk.length);
      const part = chunk.subarray(from, from + left);
      skip -= from;
      left -= part.length;
      try {
        if (part.length > 0) take(part);
      } catch (error) {
        done = true;
        reject(error);
        return;
      }
      flight.alive();
      if (from + part.length === chunk.length) return;
      done = true;
      resolve();
      flight.cut();
    });
    answer.on('end', () => {
      if (left === 0) resolve();
      const got = `${end - start - left} of ${end - start} bytes`;
      reject(new SourceError('transient', `${attempted.place}: ended after ${got}`));
    });
  });
}

async function readRefusal(answer: Answer, attempted: Attempted): Promise<SourceError> {
  const text = await new Promise<string>((resolve) => {
    let text = '';
    answer.on('data', (chunk: Uint8Array) => {
      text += Buffer.from(chunk).toString();
      if (text.length >= LONGEST_REFUSAL) resolve(text);
    });
    answer.on('end', () => resolve(text)).on('close', () => resolve(text));
  });
  return explain(attempted, { status: answer.statusCode, text, retryAfter: answer.headers['retry-after'] });
}
