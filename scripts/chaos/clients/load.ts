import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../fuzz/random.ts';
import { gapMs, type Sample } from '../figures.ts';
import { type Client, createClient, type Reply } from './client.ts';

/** One request of a load, and the check of its response. */
export interface Work {
  readonly request: Buffer;
  /** Whether the body of a 200 has the expected values. */
  isRight(text: string): boolean;
}

/** Makes the request of a number. */
export type MakeWork = (number: number) => Work;

/** Requests that are being sent. */
export interface Load {
  /** Those that have ended so far. */
  readonly samples: readonly Sample[];
  /** Milliseconds since the start. */
  elapsed(): number;
  /** Sends no more, waits for the responses that are due (at most `GRACE_MS`), and returns all samples. */
  stop(): Promise<readonly Sample[]>;
}

const GRACE_MS = 15_000;
/** The longest time between two checks for requests that are due. */
const TICK_MS = 5;
const RECONNECT_MS = 10;
const UNITS = 2 ** 30;

/** What a load keeps of its requests. */
function createRecord() {
  const started = performance.now();
  const samples: Sample[] = [];
  const elapsed = (): number => performance.now() - started;
  function record(at: number, work: Work, reply: Reply, hasLeft = false): void {
    const { status, retryAfter, text } = reply;
    const isRight = status === 200 && work.isRight(text);
    samples.push({ at, ms: elapsed() - at, status, retryAfter, isRight, hasLeft });
  }
  return { samples, elapsed, record };
}

/** Waits for promises, at most `GRACE_MS`. */
async function settleWithin(promises: Iterable<Promise<unknown>>): Promise<void> {
  const bound = new AbortController();
  await Promise.race([Promise.all(promises), sleep(GRACE_MS, undefined, { signal: bound.signal }).catch(() => {})]);
  bound.abort();
}

/** How requests of an open loop arrive. */
interface Arrivals {
  readonly port: number;
  readonly perSecond: number;
  readonly random: Random;
  readonly make: MakeWork;
  /** Clients close the connection after so long without a response. Default: they wait. */
  readonly leaveAfterMs?: number;
  /** Called with each response. @param again sends the same request again, now. @param now as `elapsed()`. */
  readonly onReply?: (sample: Sample, again: () => Promise<Reply>, now: number) => void;
}

/**
 * Sends requests at random times (a Poisson process), whatever the responses: a slow response delays no later request, as each takes
 * an idle connection or a new one. Latency counts from the time at which a request was due.
 */
export function openLoop({ port, perSecond, random, make, leaveAfterMs, onReply }: Arrivals): Load {
  const { samples, elapsed, record } = createRecord();
  const idle: Client[] = [];
  const open = new Set<Client>();
  const pending = new Set<Promise<void>>();
  let number = 0;
  let due = 0;
  const later = (): void => {
    due += gapMs(perSecond, random.int(UNITS) / UNITS);
  };

  function take(): Client {
    const client = idle.pop() ?? createClient(port);
    open.add(client);
    return client;
  }

  async function again(work: Work): Promise<Reply> {
    const client = take();
    const reply = await client.send(work.request);
    idle.push(client);
    return reply;
  }

  async function send(at: number): Promise<void> {
    const work = make(number++);
    const client = take();
    let hasLeft = false;
    const leave = (): void => {
      hasLeft = true;
      client.destroy();
    };
    const timer = leaveAfterMs === undefined ? undefined : setTimeout(leave, leaveAfterMs);
    const reply = await client.send(work.request);
    clearTimeout(timer);
    record(at, work, reply, hasLeft);
    if (hasLeft) open.delete(client);
    else idle.push(client);
    onReply?.(samples.at(-1)!, () => again(work), elapsed());
  }

  const timer = setInterval(() => {
    while (due <= elapsed()) {
      const sent = send(due);
      pending.add(sent);
      void sent.then(() => pending.delete(sent));
      later();
    }
  }, TICK_MS);
  later();
  return {
    samples,
    elapsed,
    async stop() {
      clearInterval(timer);
      await settleWithin(pending);
      for (const client of open) client.destroy();
      await Promise.all(pending);
      return samples;
    },
  };
}

/** The clients of a closed loop. */
interface Clients {
  readonly port: number;
  readonly connections: number;
  readonly make: MakeWork;
  /** When a refused client sends its next request. Default: at once. */
  readonly retry?: 'at once' | 'by Retry-After';
}

/** Keeps so many connections busy: each sends its next request when the response to the last has arrived. */
export function closedLoop({ port, connections, make, retry = 'at once' }: Clients): Load {
  const { samples, elapsed, record } = createRecord();
  const clients = Array.from({ length: connections }, () => createClient(port));
  const over = new AbortController();
  let number = 0;

  const pause = (ms: number): Promise<unknown> => sleep(ms, undefined, { signal: over.signal }).catch(() => {});

  async function run(client: Client): Promise<void> {
    while (!over.signal.aborted) {
      const work = make(number++);
      const at = elapsed();
      const reply = await client.send(work.request);
      record(at, work, reply);
      if (reply.status === 0) await pause(RECONNECT_MS);
      else if (retry === 'by Retry-After' && reply.retryAfter > 0) await pause(reply.retryAfter * 1000);
    }
  }

  const running = clients.map(run);
  return {
    samples,
    elapsed,
    async stop() {
      over.abort();
      await settleWithin(running);
      for (const client of clients) client.destroy();
      await Promise.all(running);
      return samples;
    },
  };
}

/** Lets a load run for so many seconds, and stops it. */
export async function runFor(load: Load, seconds: number): Promise<readonly Sample[]> {
  await sleep(seconds * 1000);
  return load.stop();
}
