import type { Connect, Endpoint } from '../http/connection.ts';
import { createAlarm } from './alarm.ts';
import type { ArrivalKind } from './arrivals.ts';
import { type Clock, MACHINE_CLOCK } from './clock.ts';
import { createPool, type Job, type Outcome } from './pool.ts';
import { type Profile, peakOf } from './profile.ts';
import { createRecorder, isOk, type Recent, type Recording } from './recorder.ts';
import { createCallers, createSchedule, type Run } from './source.ts';

/** A number of callers, each of which sends its next request when the response to the last has arrived. */
export interface ClosedLoop {
  readonly kind: 'closed';
  /** Callers, each with a connection. */
  readonly callers: Profile;
}

/** Requests that start at given times, whatever the responses. */
export interface OpenLoop {
  readonly kind: 'open';
  /** Requests per second. */
  readonly rate: Profile;
  readonly arrivals: ArrivalKind;
  /** Most connections; a request that finds none idle waits for one, which is part of its latency. */
  readonly connections: number;
  readonly seed: number;
  /** Part of a distance by which the first of constant arrivals is delayed. */
  readonly offset?: number;
}

/** What one generator does. */
export interface GeneratorOptions {
  readonly endpoint: Endpoint;
  /** Bytes of the requests, which are sent in turn. */
  readonly requests: readonly Buffer[];
  readonly loop: ClosedLoop | OpenLoop;
  /** Seconds before the measured part, at the profile's first level. */
  readonly warmupSeconds: number;
  /** Measured requests after which it ends early; 0: no limit. */
  readonly maxRequests: number;
  /** A request without a response so long after its start has failed. */
  readonly timeoutMs: number;
  /** A request that is refused with 429 or 503 is sent again after `Retry-After`, while its timeout allows. */
  readonly honoursRetryAfter: boolean;
}

/** How others follow a generator. */
export interface Hooks {
  /** Checks the body of a 2xx response. @returns the fault; undefined if there is none */
  readonly check?: ((index: number, body: Buffer) => string | undefined) | undefined;
  /** The measured part begins. */
  readonly onMeasure?: (() => void) | undefined;
  /** Called about twice a second. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the run early; what was measured is returned. */
  readonly signal?: AbortSignal | undefined;
}

/** The state of a run. */
export interface Progress extends Recent {
  readonly phase: 'warm-up' | 'load' | 'end';
  /** Seconds since the measured part began; negative before it. */
  readonly seconds: number;
  /** Requests without an outcome. */
  readonly pending: number;
}

/** How often the number of callers follows its profile, and the end is looked for. */
const TICK_MS = 20;
const PROGRESS_MS = 500;

/** Loads a server from this thread. Ends when all requests have an outcome, at most `timeoutMs` after the end of its profile. */
export function generate(
  options: GeneratorOptions,
  hooks: Hooks = {},
  clock: Clock = MACHINE_CLOCK,
  open?: Connect,
): Promise<Recording> {
  const { loop, warmupSeconds, requests, timeoutMs, maxRequests } = options;
  const phases = loop.kind === 'closed' ? loop.callers : loop.rate;
  const recorder = createRecorder(phases.map(({ seconds }) => seconds));
  const startAt = clock.now();
  const measureAt = startAt + warmupSeconds * 1000;
  const endAt = measureAt + phases.reduce((sum, { seconds }) => sum + seconds, 0) * 1000;
  const limit = maxRequests || Number.POSITIVE_INFINITY;
  const connections = loop.kind === 'closed' ? Math.max(1, Math.round(peakOf(phases))) : loop.connections;
  const keepsBodies = hooks.check !== undefined;
  let [index, measured, retrying, isFinished] = [0, 0, 0, false];
  let cpu = process.threadCpuUsage();

  return new Promise((resolve) => {
    const pool = createPool(
      { endpoint: options.endpoint, connections, timeoutMs, requests, keepsBodies, clock, onOutcome },
      open,
    );
    const alarm = loop.kind === 'open' && clock === MACHINE_CLOCK ? createAlarm(clock) : undefined;
    const wake = alarm?.after ?? clock.after;
    const source = createSource(loop, warmupSeconds, { clock, wake, startAt, measureAt, endAt, begin });
    const cancels = [
      repeat(clock, TICK_MS, () => {
        source.tick(clock.now());
        finishIfDone();
      }),
      repeat(clock, PROGRESS_MS, () => {
        const now = clock.now();
        const phase = now < measureAt ? 'warm-up' : now < endAt ? 'load' : 'end';
        const seconds = (now - measureAt) / 1000;
        hooks.onProgress?.({ ...recorder.progress(), phase, seconds, pending: pool.pending() });
      }),
      clock.after(warmupSeconds * 1000, () => {
        cpu = process.threadCpuUsage();
        hooks.onMeasure?.();
      }),
    ];
    hooks.signal?.addEventListener('abort', finish, { once: true });
    if (hooks.signal?.aborted) finish();
    else source.tick(startAt);

    function begin(start: number): boolean {
      if (isFinished || start >= endAt || measured >= limit) return false;
      const lateMs = Math.max(0, clock.now() - start);
      const isSent = pool.send({ start, index });
      if (start >= measureAt) {
        measured += 1;
        recorder.began(lateMs, !isSent);
      }
      index = index + 1 === requests.length ? 0 : index + 1;
      return true;
    }

    function onOutcome(job: Job, outcome: Outcome): void {
      const now = clock.now();
      if (options.honoursRetryAfter && 'status' in outcome && isRefusal(outcome.status)) {
        const waitMs = outcome.retryAfter * 1000;
        if (now + waitMs < job.start + timeoutMs) {
          retry(job, waitMs, outcome.status);
          return;
        }
      }
      const isGood = 'status' in outcome && isOk(outcome.status);
      const fault = isGood ? hooks.check?.(job.index, outcome.body) : undefined;
      recorder.ended(job.start - measureAt, now - measureAt, outcome, fault);
      source.settled(now, 'failure' in outcome);
      finishIfDone();
    }

    function retry(job: Job, waitMs: number, status: number): void {
      recorder.retried(status);
      retrying += 1;
      clock.after(waitMs, () => {
        retrying -= 1;
        if (!isFinished) pool.send(job);
      });
    }

    function finishIfDone(): void {
      if (pool.pending() + retrying === 0 && (measured >= limit || clock.now() >= endAt)) finish();
    }

    function finish(): void {
      if (isFinished) return;
      isFinished = true;
      hooks.signal?.removeEventListener('abort', finish);
      for (const cancel of [...cancels, source.stop, pool.close]) cancel();
      alarm?.close();
      const now = clock.now();
      const { user, system } = process.threadCpuUsage(cpu);
      const cores = (user + system) / 1e3 / Math.max(1, now - measureAt);
      resolve(recorder.finish(Math.max(0, Math.min(endAt, now) - measureAt) / 1000, pool.mostConnections(), cores));
    }
  });
}

function createSource(loop: ClosedLoop | OpenLoop, warmupSeconds: number, run: Run) {
  if (loop.kind === 'closed') return createCallers(loop.callers, run);
  const [{ from }] = loop.rate as [Profile[number]];
  const warmup = warmupSeconds > 0 ? [{ seconds: warmupSeconds, from, to: from }] : [];
  return createSchedule([...warmup, ...loop.rate], loop, run);
}

const isRefusal = (status: number): boolean => status === 429 || status === 503;

/** Calls every `ms`. @returns what ends it */
function repeat(clock: Clock, ms: number, call: () => void): () => void {
  let cancel = clock.after(ms, again);
  function again(): void {
    cancel = clock.after(ms, again);
    call();
  }
  return () => cancel();
}
