import { furtherEngineBytes, modelMemory, packedEngineBytes } from '../../engine/capacity.ts';
import { EnginePlan } from '../../model/engine-plan.ts';
import { MemoryBudget } from '../../model/memory-budget.ts';
import type { Measurement } from '../measure/measure-model.ts';
import { costOfMillion, type Way } from '../prices/cost.ts';
import { INSTANCE_SIZES } from '../prices/instance-sizes.ts';
import type { Prices } from '../prices/prices.ts';

/** The memory and the runs of one model. */
export interface Need {
  readonly name: string;
  /** Of the file and its weights. */
  readonly bytes: number;
  readonly mappableBytes: number;
  readonly joinsRows: boolean;
  readonly measured: Measurement | undefined;
}

/** What an instance of Cloud Run should have. */
export interface CloudRunSize {
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly concurrency: number;
  readonly processes: number;
  readonly threads: number;
  /** Why so many CPUs. */
  readonly reason: string;
}

/** US dollars for a million predictions. */
export interface Cost extends Readonly<Record<Way, number>> {
  /** Predictions a second of one instance at full load, for which these are. */
  readonly rate: number;
  /** Request-based, if no two requests overlap: each is billed for its time, rounded up to 100 ms. */
  readonly alone: number;
}

const GIB = 2 ** 30;
const STEPS = [0.5, 1, 2, 4, 8, 16, 32];
/** Up to this time of a single row one CPU is enough: the server answers 20 requests a second even if none are joined. */
const FAST_MS = 50;
/** A single row that takes longer should have all CPUs. */
const SLOW_MS = 250;
/** Requests of an instance should not wait for longer than this. */
const WAIT_MS = 500;
const MOST_CONCURRENCY = 1000;
const DEFAULT_CONCURRENCY = 80;
/** CPU time of the serving process for a request of one row, rounded up: docs/benchmarks.md has a small model on two CPUs. */
const SERVER_MS = 0.1;

/**
 * The instance for models that one server serves: the least CPU for its run times, and the least memory with which the server starts an
 * engine process for each CPU; or one process with a thread for each, if the models are too large for more.
 * @param filesAreMemory the files are fetched from a bucket: on Cloud Run they take memory
 * @returns undefined if no instance is large enough
 */
export async function sizeFor(needs: readonly Need[], filesAreMemory: boolean): Promise<CloudRunSize | undefined> {
  const slowest = Math.max(...needs.map(({ measured }) => measured?.runs[0]?.medianMs ?? 0));
  const [wanted, why] = cpuFor(slowest);
  for (const [cpu, least, most] of INSTANCE_SIZES) {
    if (cpu < wanted) continue;
    // A process for each CPU; or one that has them all, if a row is slow, or memory is short.
    for (const threads of slowest > SLOW_MS ? [cpu] : [...new Set([1, cpu])]) {
      for (const gib of STEPS) {
        if (gib < least || gib > most) continue;
        const memoryBytes = gib * GIB;
        const processes = await processesIn({ cpus: cpu, memoryBytes }, threads, needs, filesAreMemory);
        if (processes === undefined) continue;
        const reason = cpu === wanted ? why : `fewer CPUs cannot have ${gib} GiB of memory`;
        return { cpu, memoryBytes, concurrency: concurrencyFor(needs, processes), processes, threads, reason };
      }
    }
  }
  return undefined;
}

function cpuFor(slowestMs: number): [cpu: number, why: string] {
  const time = `a row takes ${slowestMs.toFixed(slowestMs < 10 ? 2 : 0)} ms`;
  if (slowestMs === 0) return [1, 'the least, because run times were not measured'];
  if (slowestMs <= FAST_MS) return [1, time];
  if (slowestMs <= SLOW_MS) return [2, time];
  return [4, `${time}, so that one run should use them all`];
}

/** How many engine processes the first model gets in an instance, as the server plans it; undefined if not all that the CPUs allow. */
async function processesIn(
  capacity: { readonly cpus: number; readonly memoryBytes: number },
  intraOpThreads: number,
  needs: readonly Need[],
  filesAreMemory: boolean,
): Promise<number | undefined> {
  const limit = modelMemory(capacity)!;
  const budget = new MemoryBudget(limit, true);
  const options = {
    budget,
    engine: { capacity, processes: undefined, intraOpThreads },
    modelCount: () => needs.length,
    keepsSpareMemory: () => needs.length > 1,
  };
  const wanted = Math.max(1, Math.floor(capacity.cpus / intraOpThreads / needs.length));
  let used = 0;
  for (const { name, bytes, mappableBytes, measured } of needs) {
    const fileBytes = filesAreMemory ? bytes : 0;
    // Otherwise the budget would wait for the models before to become idle.
    if (budget.free() < fileBytes + packedEngineBytes(mappableBytes, bytes - mappableBytes)) return undefined;
    const plan = await EnginePlan.reserve(options, { name, bytes, fileBytes, mappableBytes }, false);
    if (plan.weights !== 'packed') return undefined;
    const privateBytes = measured?.memory?.privateBytes;
    plan.measure({ privateBytes, mappedBytes: mappableBytes });
    if (plan.reserveEngines() < wanted) return undefined;
    // The plan does not count the memory of runs, which was measured.
    used += fileBytes + wanted * (privateBytes === undefined ? 0 : furtherEngineBytes(privateBytes));
  }
  return used <= limit ? wanted : undefined;
}

/** As many requests as fill a run on each engine process and a quarter more, unless they would wait too long. */
function concurrencyFor(needs: readonly Need[], processes: number): number {
  const each = needs.map(({ measured, joinsRows }) => {
    const { best, runs } = measured ?? {};
    const perSecond = (joinsRows ? best : runs?.[0])?.rowsPerSecond;
    if (perSecond === undefined) return DEFAULT_CONCURRENCY;
    const inTime = (processes * perSecond * WAIT_MS) / 1000;
    return Math.min(inTime, joinsRows ? Math.max(1.25 * processes * best!.rows, 16) : 4 * processes);
  });
  const least = Math.min(...each);
  const rounded = least > 20 ? Math.ceil(least / 10) * 10 : Math.ceil(least);
  return Math.max(processes + 1, Math.min(MOST_CONCURRENCY, rounded));
}

/** What a million predictions of one row cost on such an instance; undefined if the runs were not measured. */
export function costFor(
  { measured, joinsRows }: Need,
  { cpu, memoryBytes, threads }: CloudRunSize,
  prices: Prices,
): Cost | undefined {
  const time = joinsRows ? measured?.best : measured?.runs[0];
  const single = measured?.runs[0]?.medianMs;
  if (time?.medianMs === undefined || single === undefined) return undefined;
  const memoryGiB = memoryBytes / GIB;
  const rate = (1000 * cpu) / ((time.medianMs / time.rows) * threads + SERVER_MS);
  const billedSeconds = Math.ceil((single + SERVER_MS) / 100) / 10;
  const alone =
    1e6 * billedSeconds * (cpu * prices.activeCpuSecond + memoryGiB * prices.activeMemorySecond) +
    prices.millionRequests;
  return { ...costOfMillion({ rate, cpu, memoryGiB }, prices), rate, alone };
}
