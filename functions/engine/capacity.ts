import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The CPUs and the memory that this process may use. */
export interface Capacity {
  /** The least of the machine's CPUs, the process's affinity and its cgroup quota; may be a fraction. */
  readonly cpus: number;
  /** Bytes of memory; undefined if no limit is below the machine's memory. */
  readonly memoryBytes: number | undefined;
}

/** Bytes of the server's own process, with room for bodies in flight. Measured: 60 MB. */
export const SERVER_BYTES = 128 * 2 ** 20;
/**
 * Bytes of an engine process without its model: Node, onnxruntime and its arenas, measured at 45 to 65 MB. The rest is for the
 * tensors of runs, of which most models have few. How much a run really takes is measured: see `createRunMemory`.
 */
const ENGINE_BYTES = 72 * 2 ** 20;
/** The part of the memory for bodies: a parsed body takes several times its bytes, and engine processes need memory too. */
const BODY_SHARE = 1 / 4;
const LEAST_BODY_BYTES = 64 * 2 ** 20;
/** The inputs of a run are in memory twice, in the serving process and in an engine process, and so are its outputs. */
const BATCH_SHARE = 1 / 64;
const LEAST_BATCH_BYTES = 2 ** 20;
/**
 * About the bytes of the largest request at the default `MAX_BODY_BYTES`. From 1 MiB on, the time of the transfer between the
 * processes is proportional to the bytes, so larger runs save no time there.
 */
export const MOST_BATCH_BYTES = 2 ** 25;
/** While a session is created, weights take about twice the bytes of their file: its content and the prepacked copy. */
const MODEL_FACTOR = 2;
/** Mapped weights that are packed: 1.0 of the file for matrix products and convolutions, and one tensor more while it loads. */
const PACKED_FACTOR = 1.25;
/** An engine that loads takes more than one that has loaded, by a tensor or two; and runs take memory. */
const LOAD_FACTOR = 1.1;
/** Of {@link ENGINE_BYTES}, what an engine without a model has as memory of its own: 30 to 48 MiB; the rest is pages of programs. */
export const OWN_BYTES = 48 * 2 ** 20;

/**
 * Reads what this process may use.
 * @param root the folder of `proc` and `sys`, for tests
 */
export function measureCapacity(root = '/'): Capacity {
  const quota = cpuQuota(root);
  const limit = process.constrainedMemory();
  return {
    cpus: Math.min(availableParallelism(), quota ?? Number.POSITIVE_INFINITY),
    memoryBytes: limit > 0 && limit < 2 ** 52 ? limit : undefined,
  };
}

/** Bytes that models may take: all but those of the server process. Undefined if the memory has no limit. */
export function modelMemory({ memoryBytes }: Capacity): number | undefined {
  return memoryBytes === undefined ? undefined : Math.max(0, memoryBytes - SERVER_BYTES);
}

/** Bytes that all request bodies together may take: a quarter of the memory, at least 64 MiB. @param memoryBytes of the process. */
export function bodyMemory(memoryBytes: number): number {
  return Math.max(LEAST_BODY_BYTES, Math.floor(memoryBytes * BODY_SHARE));
}

/** The most bytes of a joined run if no setting says so: its inputs, and its outputs. */
export function defaultBatchBytes({ memoryBytes }: Capacity): number {
  if (memoryBytes === undefined) return MOST_BATCH_BYTES;
  return Math.min(MOST_BATCH_BYTES, Math.max(LEAST_BATCH_BYTES, Math.floor(memoryBytes * BATCH_SHARE)));
}

/** Bytes that one engine process takes while it loads a model that it copies. @param modelBytes the bytes of the model's files. */
export function engineBytes(modelBytes: number): number {
  return ENGINE_BYTES + MODEL_FACTOR * modelBytes;
}

/** As {@link engineBytes}, for weights that are mapped and packed; the mapped pages are not counted. */
export function packedEngineBytes(mappedBytes: number, copiedBytes = 0): number {
  return engineBytes(copiedBytes) + Math.ceil(PACKED_FACTOR * mappedBytes);
}

/** Bytes that a further engine process of a model takes. @param privateBytes those of the first, when it has loaded the model */
export function furtherEngineBytes(privateBytes: number): number {
  return ENGINE_BYTES + Math.ceil(LOAD_FACTOR * Math.max(0, privateBytes - OWN_BYTES));
}

/** For how many engine processes the CPUs are enough, rounded down; may be 0. */
export function cpuShare({ cpus }: Capacity, intraOpThreads: number): number {
  return Math.floor(cpus / intraOpThreads);
}

/**
 * How many engine processes a model of `modelBytes` gets: one for each `intraOpThreads` CPUs, as far as memory allows, at least
 * one. CPUs are rounded down, so that the engines leave CPU time to the serving process.
 */
export function engineCount(capacity: Capacity, modelBytes: number, intraOpThreads: number): number {
  const byCpu = cpuShare(capacity, intraOpThreads);
  const each = engineBytes(modelBytes);
  const byMemory =
    capacity.memoryBytes === undefined ? byCpu : Math.floor((capacity.memoryBytes - SERVER_BYTES) / each);
  return Math.max(1, Math.min(byCpu, byMemory));
}

/**
 * The least CPU quota of this process's cgroup and its ancestors, in CPUs; undefined if there is none. Read here because
 * `os.availableParallelism()` ignores the quota of cgroup v1. Formats: the kernel's documentation of cgroup v2 (`cpu.max`) and
 * of the CFS bandwidth control of v1 (`cpu.cfs_quota_us`).
 * @param root the folder of `proc` and `sys`, for tests
 */
export function cpuQuota(root = '/'): number | undefined {
  const groups = read(`${root}/proc/self/cgroup`)?.trim().split('\n') ?? [];
  const quotas: number[] = [];
  for (const group of groups) {
    const [id, controllers = '', path = '/'] = group.split(':');
    if (id === '0' && controllers === '') quotas.push(...walkUp(`${root}/sys/fs/cgroup`, path, quotaV2));
    else if (controllers.split(',').includes('cpu')) {
      for (const mount of [controllers, 'cpu']) quotas.push(...walkUp(`${root}/sys/fs/cgroup/${mount}`, path, quotaV1));
    }
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

/** The quotas from `path` up to the mount. In a container `path` may be the host's: the container's own group is then the mount. */
function walkUp(mount: string, path: string, quotaOf: (folder: string) => number | undefined): number[] {
  const quotas: number[] = [];
  const parts = path.split('/').filter(Boolean);
  for (let depth = parts.length; depth >= 0; depth--) {
    const quota = quotaOf([mount, ...parts.slice(0, depth)].join('/'));
    if (quota !== undefined) quotas.push(quota);
  }
  return quotas;
}

function quotaV2(folder: string): number | undefined {
  const [quota, period] = read(`${folder}/cpu.max`)?.trim().split(/\s+/) ?? [];
  return quota === undefined || quota === 'max' ? undefined : Number(quota) / Number(period ?? 100_000);
}

function quotaV1(folder: string): number | undefined {
  const quota = Number(read(`${folder}/cpu.cfs_quota_us`) ?? -1);
  const period = Number(read(`${folder}/cpu.cfs_period_us`) ?? 100_000);
  return quota > 0 ? quota / period : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
