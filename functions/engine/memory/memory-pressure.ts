import { ServingError } from '../../errors.ts';
import { type CgroupMemory, createCgroupReader } from './cgroup-memory.ts';

/** Decides whether memory is so short that the kernel is about to kill a process. */
export type MemoryPressure = () => ServingError | undefined;

/** The memory is read at most so often: 60 µs then, and nothing in between. */
const SAMPLE_MS = 100;
const LEAST_RESERVE_BYTES = 24 * 2 ** 20;
const RESERVE_SHARE = 0.03;
const RETRY_SECONDS = 1;

/** Bytes below the limit that are kept free: what the requests in flight may still take. */
export function reserveBytes(limitBytes: number): number {
  return Math.max(LEAST_RESERVE_BYTES, limitBytes * RESERVE_SHARE);
}

/**
 * Creates the check of the memory limit, which is to be called before a body is read.
 * @param read reads the memory of the control group; undefined if it has no limit
 * @param now a monotonic clock in milliseconds
 * @returns a function that returns `OVERLOADED` while less than {@link reserveBytes} are free
 */
export function createMemoryPressure(
  read: (() => CgroupMemory | undefined) | undefined,
  now = (): number => performance.now(),
): MemoryPressure {
  if (read === undefined) return () => undefined;
  let sampledAt = Number.NEGATIVE_INFINITY;
  let refusal: ServingError | undefined;
  return () => {
    const at = now();
    if (at - sampledAt < SAMPLE_MS) return refusal;
    sampledAt = at;
    const memory = read();
    refusal = memory === undefined ? undefined : refusalOf(memory);
    return refusal;
  };
}

/** The check of this process. */
export const memoryPressure = createMemoryPressure(createCgroupReader());

function refusalOf({ limitBytes, usedBytes }: CgroupMemory): ServingError | undefined {
  if (usedBytes <= limitBytes - reserveBytes(limitBytes)) return undefined;
  const message = 'the server is short of memory; send the request again later';
  const detail = `${usedBytes} bytes of the memory limit of ${limitBytes} are in use`;
  return new ServingError('OVERLOADED', message, { retryAfter: RETRY_SECONDS, detail });
}
