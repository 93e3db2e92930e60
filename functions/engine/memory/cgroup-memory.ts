import { readFileSync } from 'node:fs';

/** The memory of the control group that is nearest to its limit. */
export interface CgroupMemory {
  readonly limitBytes: number;
  /** Without the pages of files, which the kernel takes back before it kills a process. */
  readonly usedBytes: number;
}

/** The files of one control group: documentation of cgroup v2 (`memory.max`) and v1 (`memory.limit_in_bytes`). */
interface Files {
  readonly folder: string;
  readonly limit: string;
  readonly usage: string;
  /** The first part of the names in memory.stat that count the group with its descendants. */
  readonly prefix: string;
}

const V2 = { limit: 'memory.max', usage: 'memory.current', prefix: '' };
const V1 = { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', prefix: 'total_' };

/**
 * Creates a function that reads the memory of this process's control group and its ancestors, of which the one with the least free
 * memory counts. It reads files from /sys: some 20 µs each.
 * @param root the folder of `proc` and `sys`, for tests
 * @returns undefined if no group had a limit when this function was called
 */
export function createCgroupReader(root = '/'): (() => CgroupMemory | undefined) | undefined {
  const groups = groupsOf(root).filter((files) => limitOf(files) !== undefined);
  if (groups.length === 0) return undefined;
  return () =>
    groups.reduce<CgroupMemory | undefined>((tightest, files) => {
      const memory = memoryOf(files);
      return memory === undefined || (tightest !== undefined && free(tightest) <= free(memory)) ? tightest : memory;
    }, undefined);
}

const free = ({ limitBytes, usedBytes }: CgroupMemory): number => limitBytes - usedBytes;

/** In a container the path may be the host's: the container's own group is then the mount. */
function groupsOf(root: string): Files[] {
  const groups: Files[] = [];
  for (const line of read(`${root}/proc/self/cgroup`)?.trim().split('\n') ?? []) {
    const [id, controllers = '', path = '/'] = line.split(':');
    const isV2 = id === '0' && controllers === '';
    if (!isV2 && !controllers.split(',').includes('memory')) continue;
    const mount = `${root}/sys/fs/cgroup${isV2 ? '' : '/memory'}`;
    const parts = path.split('/').filter(Boolean);
    for (let depth = parts.length; depth >= 0; depth--) {
      groups.push({ folder: [mount, ...parts.slice(0, depth)].join('/'), ...(isV2 ? V2 : V1) });
    }
  }
  return groups;
}

/** Bytes; undefined for `max`, and for the largest number of pages, which is how v1 writes it. */
function limitOf({ folder, limit }: Files): number | undefined {
  const bytes = Number(read(`${folder}/${limit}`) ?? Number.NaN);
  return bytes < 2 ** 52 ? bytes : undefined;
}

function memoryOf(files: Files): CgroupMemory | undefined {
  const { folder, usage, prefix } = files;
  // Read each time: the limit of a running container can be changed.
  const limitBytes = limitOf(files);
  const current = Number(read(`${folder}/${usage}`) ?? Number.NaN);
  if (limitBytes === undefined || Number.isNaN(current)) return undefined;
  const stat = read(`${folder}/memory.stat`) ?? '';
  const bytesOf = (name: string): number => Number(new RegExp(`^${prefix}${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
  return { limitBytes, usedBytes: current - bytesOf('inactive_file') - bytesOf('active_file') };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
