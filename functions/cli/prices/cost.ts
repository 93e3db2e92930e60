import type { Prices } from './prices.ts';

/** A service under full load. */
export interface FullLoad {
  /** Predictions a second. */
  readonly rate: number;
  /** vCPUs of the instance or pod. */
  readonly cpu: number;
  /** GiB of memory of the instance or pod. */
  readonly memoryGiB: number;
  /** Rows of one request. Default: 1. */
  readonly rowsPerRequest?: number;
}

/** Ways to pay for a service. */
export const WAYS = {
  cloudRunRequests: 'Cloud Run, request-based',
  cloudRunInstances: 'Cloud Run, instance-based',
  gke: 'GKE Autopilot',
  gkeSpot: 'GKE Autopilot, Spot',
} as const;
export type Way = keyof typeof WAYS;

/**
 * US dollars for a million predictions at full load, by way to pay: the time that they take at this rate × the price of CPU and
 * memory for that time, and the fee for requests. Time without requests costs more, the free tier and the management fee of a
 * cluster are left out: `scripts/costs.ts` computes a month with them.
 */
export function costOfMillion(
  { rate, cpu, memoryGiB, rowsPerRequest = 1 }: FullLoad,
  prices: Prices,
): Record<Way, number> {
  const seconds = 1e6 / rate;
  const over = (cpuSecond: number, memorySecond: number): number =>
    seconds * (cpu * cpuSecond + memoryGiB * memorySecond);
  return {
    cloudRunRequests: over(prices.activeCpuSecond, prices.activeMemorySecond) + prices.millionRequests / rowsPerRequest,
    cloudRunInstances: over(prices.instanceCpuSecond, prices.instanceMemorySecond),
    gke: over(prices.podCpuHour / 3600, prices.podMemoryHour / 3600),
    gkeSpot: over(prices.spotCpuHour / 3600, prices.spotMemoryHour / 3600),
  };
}
