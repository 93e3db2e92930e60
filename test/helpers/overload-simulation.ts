import { Admission, type AdmittedEntry } from '../../functions/engine/admission/admission.ts';
import type { ServingError } from '../../functions/errors.ts';
import { float32 } from './tensors.ts';

/** A world in which time passes only from one event to the next: arrivals, ends of runs, and clients that give up. */
export interface World {
  readonly engines: number;
  /** Milliseconds of a run of so many rows. */
  readonly runMs: (rows: number) => number;
  /** The most rows of a run. */
  readonly maxRunRows: number;
  readonly maxQueueSize: number;
  /** Milliseconds until a request's deadline, which the server knows. */
  readonly deadlineMs: number;
  /** Milliseconds after which clients leave, which the server does not know. */
  readonly patienceMs: number;
  /** Whether refused clients come back after `Retry-After`, once. */
  readonly comesBack: boolean;
}

export interface SimulatedRequest {
  readonly arrivedAt: number;
  readonly isRetry: boolean;
  outcome: 'open' | 'served' | 'left' | 'OVERLOADED' | 'DEADLINE' | 'CLIENT_GONE';
  settledAt: number;
}

interface Entry extends AdmittedEntry {
  readonly request: SimulatedRequest;
}

/**
 * Runs one row for each arrival on simulated engines.
 * @param arrivals milliseconds, in ascending order.
 * @returns every request, retries included, in the order of their arrival.
 */
export function simulate(world: World, arrivals: readonly number[]): SimulatedRequest[] {
  let at = 0;
  const events: { at: number; run: () => void }[] = [];
  const schedule = (time: number, run: () => void): void => {
    let low = 0;
    let high = events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (events[middle]!.at <= time) high = middle;
      else low = middle + 1;
    }
    events.splice(low, 0, { at: time, run });
  };
  let free = world.engines;
  const admission = new Admission<Entry>({
    maxQueueSize: world.maxQueueSize,
    maxRunRows: world.maxRunRows,
    engines: () => world.engines,
    now: () => at,
  });
  const requests: SimulatedRequest[] = [];

  function dispatch(): void {
    for (
      let head = free > 0 ? admission.first() : undefined;
      head !== undefined;
      head = free > 0 ? admission.first() : undefined
    ) {
      admission.begin(head);
      const batch: Entry[] = [];
      const mostRows = admission.usefulRows();
      for (let entry: Entry | undefined = head; entry !== undefined; ) {
        admission.take(entry, 1);
        batch.push(entry);
        entry = batch.length < mostRows ? admission.next(head.key) : undefined;
      }
      free--;
      const ms = world.runMs(batch.length);
      schedule(at + ms, () => {
        free++;
        admission.ran(batch.length, ms);
        dispatch();
        for (const entry of batch) {
          admission.settled(entry);
          settle(entry.request, 'served');
        }
      });
    }
  }

  function settle(request: SimulatedRequest, outcome: SimulatedRequest['outcome']): void {
    if (request.outcome !== 'open') return;
    request.outcome = outcome;
    request.settledAt = at;
  }

  function refused(request: SimulatedRequest, { code, retryAfter }: ServingError): void {
    settle(request, code as SimulatedRequest['outcome']);
    if (code === 'OVERLOADED' && world.comesBack && !request.isRetry)
      schedule(at + retryAfter! * 1000, () => arrive(true));
  }

  function arrive(isRetry: boolean): void {
    const request: SimulatedRequest = { arrivedAt: at, isRetry, outcome: 'open', settledAt: Number.NaN };
    requests.push(request);
    const terms = { cancelled: false, deadline: at + world.deadlineMs };
    const refusal = admission.refuse(1, terms, {});
    if (refusal !== undefined) {
      refused(request, refusal);
      return;
    }
    if (world.patienceMs < Number.POSITIVE_INFINITY) {
      schedule(at + world.patienceMs, () => {
        terms.cancelled = true;
        settle(request, 'left');
      });
    }
    admission.add({
      feeds: { tensors: [float32([1, 1], [0])], rows: 1 },
      key: '',
      terms,
      isBulk: false,
      taken: 0,
      queuedAt: 0,
      request,
      reject: (error) => refused(request, error),
    });
    dispatch();
  }

  let next = 0;
  for (;;) {
    const event = events.at(-1);
    const arrival = arrivals[next];
    if (event === undefined && arrival === undefined) return requests;
    if (arrival !== undefined && (event === undefined || arrival <= event.at)) {
      next++;
      at = arrival;
      arrive(false);
    } else {
      events.pop();
      at = event!.at;
      event!.run();
    }
  }
}

/** Arrivals at random times: so many a second, from one second to another. */
export function arrivalsOf(perSecond: number, fromSecond: number, toSecond: number, random: () => number): number[] {
  const arrivals: number[] = [];
  for (let at = fromSecond * 1000; ; ) {
    at += (-Math.log(1 - random()) * 1000) / perSecond;
    if (at >= toSecond * 1000) return arrivals;
    arrivals.push(at);
  }
}
