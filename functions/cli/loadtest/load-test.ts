import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ServingError } from '../../errors.ts';
import { formatCount, formatMs } from '../terminal/format.ts';
import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import { type Capacity, findCapacity } from './capacity.ts';
import { type CredentialOptions, readCredentials } from './credentials.ts';
import { MACHINE_CLOCK } from './generator/clock.ts';
import { type ClosedLoop, generate, type Hooks, type OpenLoop, type Progress } from './generator/generate.ts';
import { type Levels, peakOf, spreadLevels } from './generator/profile.ts';
import { generateInThreads } from './generator/threads.ts';
import { readTarget, type Target } from './http/target.ts';
import { htmlReport } from './report/html.ts';
import { formatRate, type RateTrial, type Report, reportJson } from './report/report.ts';
import { textReport } from './report/text.ts';
import { isCheckable } from './requests/check.ts';
import { planRequests, type RequestOptions, type RequestPlan } from './requests/plan.ts';
import { watchServer } from './server-watch.ts';
import { judge, type Objective } from './slo.ts';
import { type LoadResult, summarize } from './summary.ts';

/** The options of the verb; durations in seconds. */
export interface LoadTestOptions extends RequestOptions, CredentialOptions {
  readonly connections?: Levels;
  readonly rate?: Levels;
  readonly arrivals: OpenLoop['arrivals'];
  readonly maxConnections: number;
  readonly duration?: number;
  readonly requests: number;
  readonly warmUp: number;
  readonly timeout: number;
  readonly retryAfter?: boolean;
  readonly threads: number;
  readonly seed: number;
  readonly ca?: string;
  readonly slo?: readonly Objective[];
  readonly findCapacity?: boolean;
  readonly within: number;
  readonly html?: string;
}

const DEFAULT_CONNECTIONS: Levels = { kind: 'constant', values: [16] };
const DEFAULT_SECONDS = 10;
/** A search has many trials. */
const DEFAULT_TRIAL_SECONDS = 5;
const DEFAULT_FIRST_RATE = 100;
/** Requests that describe the model may wait for its load. */
const DESCRIBE_MS = 60_000;
/** A search ends within this part of the capacity. */
const PRECISION = 0.05;
/** A server keeps up with a rate if so many of the requests are completed within the trial. */
const KEPT_UP = 0.95;
/** A thread that is busier than this cannot send more. */
const BUSY_CORES = 0.95;

/** Runs `loadtest`: plans the requests, loads the server, and reports. */
export async function runLoadTest(url: string, options: LoadTestOptions, context: VerbContext): Promise<Outcome> {
  const fault = findConflict(options);
  if (fault !== undefined) context.wrongUsage(fault);
  const target = readTarget(url, options.ca);
  if (typeof target === 'string') return context.wrongUsage(target);
  const { signal, progress } = context;
  if (options.html !== undefined) checkWritable(options.html);
  const headers = await readCredentials(options, target);
  progress.step(`describing ${target.origin}`);
  const plan = await planRequests(options, { target, headers, timeoutMs: DESCRIBE_MS, readyMs: DESCRIBE_MS, signal });
  const base = { target, plan, headers, options, context };
  const report = options.findCapacity ? await searchCapacity(base) : await loadOnce(base);
  progress.end();
  if (options.html !== undefined && !signal.aborted) writeFileSync(options.html, htmlReport(report));
  return {
    lines: textReport(report, context.styles, options.html),
    json: reportJson(report),
    isGood: isGood(report),
  };
}

interface Base {
  readonly target: Target;
  readonly plan: RequestPlan;
  readonly headers: Readonly<Record<string, string>>;
  readonly options: LoadTestOptions;
  readonly context: VerbContext;
}

/** Refuses a file that cannot be written, before the load. @throws ServingError, or the error of the system */
function checkWritable(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw new ServingError('INVALID_INPUT', `${file}: expected a file, and it is a folder`);
  accessSync(found === undefined ? dirname(resolve(file)) : file, constants.W_OK);
}

/** Options that do not go together, as a sentence. */
function findConflict(options: LoadTestOptions): string | undefined {
  const { body, rows, model, check, batch, format, token, tokenFile, rate, connections, threads } = options;
  if (token !== undefined && tokenFile !== undefined) return 'give --token or --token-file, not both';
  if (rate !== undefined && connections !== undefined)
    return '--rate is for an open loop and --connections for a closed one: give one of them; --max-connections limits an open loop';
  if (body !== undefined && (rows ?? model) !== undefined)
    return '--body is sent as it is: leave out --rows and --model';
  if (body !== undefined && check) return '--check compares the outputs of golden rows: leave out --body';
  if (batch > 1 && format === 'native')
    return '/predict takes one row: for --batch choose --format oip, oip-binary, tensorflow or vertex';
  if (check && !isCheckable(format)) return '--check compares the outputs of --format native and oip alone';
  if (check && batch > 1) return '--check compares the outputs of single rows: leave out --batch';
  if (check && threads > 1) return '--check works in one thread: leave out --threads';
  if (check && rows !== undefined && !rows.endsWith('.json'))
    return '--check needs the outputs of a golden.json as --rows';
  if (options.findCapacity && options.slo === undefined)
    return '--find-capacity needs the objectives that have to be met: --slo p99=50ms,errors=0.1%';
  if (options.findCapacity && connections !== undefined)
    return '--find-capacity searches a rate: leave out --connections';
  if (options.findCapacity && (rate?.kind ?? 'constant') !== 'constant')
    return '--find-capacity begins at one rate: give --rate a number';
  return undefined;
}

async function loadOnce(base: Base): Promise<Report> {
  const { options } = base;
  const seconds = options.duration ?? DEFAULT_SECONDS;
  const loop = options.rate === undefined ? closedLoop(options, seconds) : openLoop(options, options.rate, seconds);
  const server = watchServer(base.target, base.headers);
  const result = await load(base, loop, `loading ${base.target.origin}`, { onMeasure: server.begin });
  const figures = await server.end(base.context.signal);
  return { ...headOf(base), loop, result, server: figures, verdicts: judge(options.slo ?? [], result) };
}

async function searchCapacity(base: Base): Promise<Report> {
  const { options, target, context } = base;
  const slo = options.slo ?? [];
  const seconds = options.duration ?? DEFAULT_TRIAL_SECONDS;
  let loop = openLoop(options, { kind: 'constant', values: [DEFAULT_FIRST_RATE] }, seconds);
  const server = watchServer(target, base.headers);

  async function measure(rate: number): Promise<RateTrial> {
    loop = openLoop(options, { kind: 'constant', values: [rate] }, seconds);
    const title = `trying ${formatRate(rate)} requests per second`;
    const result = await load(base, loop, title, { onMeasure: server.begin });
    const verdicts = judge(slo, result);
    const keptUp = result.rate >= KEPT_UP * (result.offered ?? 0);
    const met = keptUp && verdicts.every((one) => one.met);
    const isGeneratorsLimit = !met && result.generator.cores > BUSY_CORES * threadsOf(options, loop);
    context.signal.throwIfAborted();
    return { rate, result, verdicts, met, isGeneratorsLimit };
  }

  const capacity: Capacity<RateTrial> = await findCapacity(measure, {
    from: options.rate?.values[0] ?? DEFAULT_FIRST_RATE,
    precision: PRECISION,
    withinMs: options.within * 1000,
    trialMs: (seconds + options.warmUp) * 1000,
    clock: MACHINE_CLOCK,
  });
  const { result, verdicts, rate } = capacity.best;
  loop = openLoop(options, { kind: 'constant', values: [rate] }, seconds);
  return { ...headOf(base), loop, result, server: undefined, verdicts, capacity };
}

function headOf({
  target,
  plan,
  options,
}: Base): Pick<Report, 'url' | 'title' | 'model' | 'warmUp' | 'threads' | 'at'> {
  const { title, model, path } = plan;
  const { warmUp, threads } = options;
  return { url: `${target.origin}${path}`, title, model, warmUp, threads, at: new Date().toISOString() };
}

function closedLoop({ connections = DEFAULT_CONNECTIONS }: LoadTestOptions, seconds: number): ClosedLoop {
  return { kind: 'closed', callers: spreadLevels(connections, seconds) };
}

function openLoop({ arrivals, maxConnections, seed }: LoadTestOptions, rate: Levels, seconds: number): OpenLoop {
  return { kind: 'open', rate: spreadLevels(rate, seconds), arrivals, connections: maxConnections, seed };
}

/** Each thread has at least one connection, and one request. */
function threadsOf({ threads, requests }: LoadTestOptions, loop: ClosedLoop | OpenLoop): number {
  const connections = loop.kind === 'closed' ? Math.round(peakOf(loop.callers)) : loop.connections;
  return Math.max(1, Math.min(threads, connections, requests || threads));
}

async function load(
  { target, plan, options, context }: Base,
  loop: ClosedLoop | OpenLoop,
  title: string,
  hooks: Pick<Hooks, 'onMeasure'>,
): Promise<LoadResult> {
  const { endpoint } = target;
  const { requests, check } = plan;
  const { progress, signal } = context;
  const profile = loop.kind === 'closed' ? loop.callers : loop.rate;
  const seconds = profile.reduce((sum, phase) => sum + phase.seconds, 0);
  progress.step(title);
  const onProgress = (now: Progress): void =>
    progress.update(options.warmUp + now.seconds, options.warmUp + seconds, progressText(now));
  const generating = {
    endpoint,
    requests,
    loop,
    warmupSeconds: options.warmUp,
    maxRequests: options.requests,
    timeoutMs: options.timeout * 1000,
    honoursRetryAfter: options.retryAfter === true,
  };
  const threads = threadsOf(options, loop);
  const all = { ...hooks, onProgress, signal };
  const recording =
    threads === 1 ? await generate(generating, { ...all, check }) : await generateInThreads(generating, threads, all);
  return summarize(recording, loop, threads);
}

function progressText({ phase, requests, failed, seconds, pending, p50, p99 }: Progress): string {
  if (phase === 'warm-up') return 'warm-up';
  if (phase === 'end') return `waiting for ${formatCount(pending)} responses`;
  const rate = requests / Math.max(0.1, seconds);
  const faults = failed === 0 ? '' : `, ${formatCount(failed)} failed`;
  return `${formatCount(rate)}/s, p50 ${formatMs(p50)}, p99 ${formatMs(p99)}${faults}`;
}

/** The answer of the load: objectives that were met, a capacity that was found, or else requests that succeeded, with correct values. */
function isGood({ verdicts, result, capacity }: Report): boolean {
  if (capacity !== undefined && capacity.rate === undefined) return false;
  return verdicts.every(({ met }) => met) && result.ok > 0 && result.wrong === 0;
}
