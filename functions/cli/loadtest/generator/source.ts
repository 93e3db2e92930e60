import { type ArrivalKind, createArrivals, createRandom } from './arrivals.ts';
import type { Clock } from './clock.ts';
import { levelAt, type Profile } from './profile.ts';

/** What decides when requests begin. */
export interface Source {
  /** Called at the start and then regularly. */
  tick(now: number): void;
  /** A request has an outcome. */
  settled(now: number, isFailure: boolean): void;
  stop(): void;
}

/** The run of a source; times in ms of the clock. */
export interface Run {
  readonly clock: Clock;
  /** Calls after a delay, as exactly as it can. */
  readonly wake: Clock['after'];
  readonly startAt: number;
  /** The measured part begins. */
  readonly measureAt: number;
  readonly endAt: number;
  /** Begins a request. @returns false if there are to be no more */
  begin(start: number): boolean;
}

/** A caller waits so long after a failed connection. */
const RECONNECT_MS = 10;
/** Requests that are sent before responses are read again. */
const BURST = 128;

/** A number of callers, which a profile gives: each begins its next request when its last has an outcome. */
export function createCallers(callers: Profile, { clock, measureAt, endAt, begin }: Run): Source {
  let active = 0;
  const cancels = new Set<() => void>();
  const wanted = (now: number): number => (now >= endAt ? 0 : Math.round(levelAt(callers, (now - measureAt) / 1000)));

  function call(now: number): void {
    if (active > wanted(now) || !begin(now)) active -= 1;
  }

  return {
    tick(now) {
      for (const target = wanted(now); active < target; active += 1) if (!begin(now)) return;
    },
    settled(now, isFailure) {
      if (!isFailure) return call(now);
      const cancel = clock.after(RECONNECT_MS, () => {
        cancels.delete(cancel);
        call(clock.now());
      });
      cancels.add(cancel);
    },
    stop() {
      for (const cancel of cancels) cancel();
    },
  };
}

/** How a schedule's requests follow each other. */
interface ScheduleOptions {
  readonly arrivals: ArrivalKind;
  readonly seed: number;
  /** Part of a distance by which the first of constant arrivals is delayed. */
  readonly offset?: number;
}

/** Begins requests at the times of a rate, whatever the outcomes. @param rate per second, from the start of the run */
export function createSchedule(rate: Profile, { arrivals, seed, offset }: ScheduleOptions, run: Run): Source {
  const { clock, wake, startAt, endAt, begin } = run;
  const nextTime = createArrivals(rate, arrivals, createRandom(seed), offset);
  let due = startAt + nextTime() * 1000;
  let cancel = wake(due - startAt, send);

  function send(): void {
    for (let sent = 0; due <= clock.now(); sent += 1) {
      // Responses are read between bursts.
      if (sent === BURST) {
        cancel = wake(0, send);
        return;
      }
      if (!begin(due)) return;
      due = startAt + nextTime() * 1000;
    }
    if (due < endAt) cancel = wake(Math.max(0, due - clock.now()), send);
  }

  return { tick() {}, settled() {}, stop: () => cancel() };
}
