import { type Connect, type Connection, connect, type Endpoint } from '../http/connection.ts';
import { type FailureKind, failureOf } from '../http/failure.ts';
import { type Body, createBody } from '../http/response-body.ts';
import type { Clock } from './clock.ts';
import { createQueue } from './queue.ts';

/** One request of a run. */
export interface Job {
  /** When it should be sent, in ms of the clock: its latency begins here, also if it is sent later. */
  readonly start: number;
  /** Index of its bytes. */
  readonly index: number;
}

/** The end of a request. */
export type Outcome =
  | {
      readonly status: number;
      /** Seconds of its `Retry-After`; NaN if it has none. */
      readonly retryAfter: number;
      /** The start of its body, or all of it if bodies are kept. Valid during the call. */
      readonly body: Buffer;
    }
  | { readonly failure: FailureKind };

interface PoolOptions {
  readonly endpoint: Endpoint;
  /** Most connections at a time. */
  readonly connections: number;
  /** A request without a complete response so long after its start is a `timeout`. */
  readonly timeoutMs: number;
  readonly requests: readonly Buffer[];
  /** Whether outcomes have complete bodies. */
  readonly keepsBodies: boolean;
  readonly clock: Clock;
  onOutcome(job: Job, outcome: Outcome): void;
}

/** Keep-alive connections, each with one request at a time. */
export interface Pool {
  /** Sends a request on an idle connection, else on a new one, else as soon as a connection is idle, in the order of the calls. @returns false if it waits */
  send(job: Job): boolean;
  /** Requests without an outcome. */
  pending(): number;
  /** Most connections that were open at the same time. */
  mostConnections(): number;
  /** Closes all connections. There are no outcomes afterwards. */
  close(): void;
}

interface Slot {
  connection: Connection;
  job: Job | undefined;
  readonly body: Body;
}

/** How often requests are looked through for those that are too old. */
const SWEEP_MS = 100;
const TIMEOUT = Object.assign(new Error('no response in time'), { code: 'ETIMEDOUT' });

/** Creates a pool; it opens connections when requests need them. @param open opens a connection */
export function createPool(options: PoolOptions, open: Connect = connect): Pool {
  const { endpoint, connections, timeoutMs, requests, keepsBodies, clock, onOutcome } = options;
  const slots = new Set<Slot>();
  const idle: Slot[] = [];
  const waiting = createQueue<Job>();
  let [pending, most, closed] = [0, 0, false];
  let cancelSweep = clock.after(SWEEP_MS, sweep);

  function settle(job: Job, outcome: Outcome): void {
    pending -= 1;
    onOutcome(job, outcome);
  }

  function write(slot: Slot, job: Job): void {
    slot.job = job;
    slot.body.clear();
    slot.connection.send(requests[job.index]!);
  }

  /** Gives a connection a request, or else the one that waits longest. */
  function use(slot: Slot, job = waiting.shift()): void {
    if (job === undefined) idle.push(slot);
    else write(slot, job);
  }

  function openSlot(job: Job): void {
    const slot: Slot = { connection: undefined as never, job, body: createBody(keepsBodies) };
    slot.connection = open(endpoint, {
      onOpen: () => use(slot, slot.job),
      onBody: slot.body.add,
      onResponse: (status, close, retryAfter) => onResponse(slot, status, close, retryAfter),
      onClose: (error) => onClose(slot, error),
    });
    slots.add(slot);
    most = Math.max(most, slots.size);
  }

  function onResponse(slot: Slot, status: number, close: boolean, retryAfter: number): void {
    const { job } = slot;
    // A response that nothing requested: the server and this side do not agree on where responses end.
    if (job === undefined || closed) {
      slot.connection.destroy();
      return;
    }
    slot.job = undefined;
    const body = slot.body.bytes();
    if (close) {
      onClose(slot, undefined);
      slot.connection.destroy();
    } else use(slot);
    settle(job, { status, retryAfter, body });
  }

  function onClose(slot: Slot, error: Error | undefined): void {
    if (closed || !slots.delete(slot)) return;
    remove(idle, slot);
    const { job } = slot;
    slot.job = undefined;
    // A request that waits gets a connection in place of this one.
    const first = slots.size < connections ? waiting.shift() : undefined;
    if (first !== undefined) openSlot(first);
    if (job !== undefined) settle(job, { failure: failureOf(error) });
  }

  /** Ends requests that are too old. */
  function sweep(): void {
    const latest = clock.now() - timeoutMs;
    // Those that wait come first: none of them is to get the connection of another.
    for (let job = waiting.first(); job !== undefined && job.start <= latest; job = waiting.first()) {
      waiting.shift();
      settle(job, { failure: 'timeout' });
    }
    for (const slot of slots) {
      const { job } = slot;
      if (job === undefined || job.start > latest) continue;
      onClose(slot, TIMEOUT);
      slot.connection.destroy();
    }
    if (!closed) cancelSweep = clock.after(SWEEP_MS, sweep);
  }

  return {
    send(job) {
      pending += 1;
      const slot = idle.pop();
      const waits = slot === undefined && slots.size >= connections;
      if (slot !== undefined) write(slot, job);
      else if (waits) waiting.push(job);
      else openSlot(job);
      return !waits;
    },
    pending: () => pending,
    mostConnections: () => most,
    close() {
      closed = true;
      cancelSweep();
      for (const { connection } of slots) connection.destroy();
    },
  };
}

/** Takes a value out of a list, if it is in it. */
function remove<T>(list: T[], value: T): void {
  const at = list.indexOf(value);
  if (at !== -1) list.splice(at, 1);
}
