import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** What this machine, or the container's share of it, allows. */
export interface Capacity {
  /** CPUs that may be used at once: the machine's, its affinity's and its cgroup quota's least; fractions kept. */
  readonly cpus: number;
  /** Bytes of memory, or undefined where nothing limits it below the machine's own. */
  readonly memoryBytes: number | undefined;
}

/** The server's own process, with room for bodies in flight. Measured at 60 MB. */
const SERVER_BYTES = 128 * 2 ** 20;
/**
 * An engine process without its model: Node, onnxruntime and its arenas, measured at 45 to 65 MB. The rest is for the tensors of
 * runs, which are not counted otherwise: rows of most models have a few kB, and inputs and outputs of a joined run have
 * `MAX_BATCH_BYTES` each at most, which are freed after it. The tensors inside a graph are known only once it runs.
 */
const ENGINE_BYTES = 72 * 2 ** 20;
/** While a session is created, weights take about twice the bytes of their file: the file's and the prepacked copy. */
const MODEL_FACTOR = 2;

/**
 * What this process may use.
 * @param root where `/proc` and `/sys` are found, as `cpuQuota` has it
 */
export function measureCapacity(root = '/'): Capacity {
  const quota = cpuQuota(root);
  const limit = process.constrainedMemory();
  return {
    cpus: Math.min(availableParallelism(), quota ?? Number.POSITIVE_INFINITY),
    memoryBytes: limit > 0 && limit < 2 ** 52 ? limit : undefined,
  };
}

/** Bytes that models may take: all but the server's own. Undefined where nothing limits the memory. */
export function modelMemory({ memoryBytes }: Capacity): number | undefined {
  return memoryBytes === undefined ? undefined : Math.max(0, memoryBytes - SERVER_BYTES);
}

/** Bytes that one engine process takes while it loads a model. @param modelBytes the bytes of the model's files. */
export function engineBytes(modelBytes: number): number {
  return ENGINE_BYTES + MODEL_FACTOR * modelBytes;
}

/** How many engine processes the CPUs are enough for; may be 0. */
export function cpuShare({ cpus }: Capacity, intraOpThreads: number): number {
  return Math.floor(cpus / intraOpThreads);
}

/**
 * How many engine processes a model of `modelBytes` gets: one for each whole CPU, as far as memory allows, at least one.
 * CPUs are rounded down, so that the serving process is never throttled by its own engines.
 */
export function engineCount(capacity: Capacity, modelBytes: number, intraOpThreads: number): number {
  const byCpu = cpuShare(capacity, intraOpThreads);
  const each = engineBytes(modelBytes);
  const byMemory =
    capacity.memoryBytes === undefined ? byCpu : Math.floor((capacity.memoryBytes - SERVER_BYTES) / each);
  return Math.max(1, Math.min(byCpu, byMemory));
}

/**
 * The CPU quota of this process's cgroup and of those above it, in CPUs; undefined where there is none. Read here
 * because `os.availableParallelism()` knows no quota under cgroup v1.
 * @param root where `/proc` and `/sys` are found: a test lays out its own.
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

/** Inside a container the path may be the host's: its own group is then the mount itself, which the walk ends at. */
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
