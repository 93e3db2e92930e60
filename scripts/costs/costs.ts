import type { Prices } from '../../functions/cli/prices/prices.ts';

/** Free each month: vCPU-seconds, GiB-seconds and requests of Cloud Run; dollars of GKE's management fee. */
const FREE = {
  activeCpu: 180_000,
  activeMemory: 360_000,
  requests: 2_000_000,
  instanceCpu: 240_000,
  instanceMemory: 450_000,
  cluster: 74.4,
};

const HOURS = 730;
const SECONDS = HOURS * 3600;

/** One month of a model. Memory in GiB; `ms` of one request; `overlap`: requests at the same time on an instance. */
export interface Usage {
  readonly requests: number;
  readonly ms: number;
  readonly overlap: number;
  readonly cpu: number;
  readonly memory: number;
  readonly instances: number;
  readonly pods: number;
  readonly 'pod-cpu': number;
  readonly 'pod-memory': number;
}

/** The bill of one way to run it, with the free tier and without. */
export interface Cost {
  readonly name: string;
  readonly dollars: number;
  readonly withoutFree: number;
}

/** Computes the bill of a month for each way to run a model. */
export function costsOf(usage: Usage, prices: Prices): Cost[] {
  const { instances, cpu, memory, pods } = usage;
  const active = activeSeconds(usage);
  const perRequest = requestBased(usage, prices, active);
  const idle =
    Math.max(0, instances * SECONDS - active) * (cpu * prices.idleCpuSecond + memory * prices.idleMemorySecond);
  const alive = instances * SECONDS;
  const always = [
    { used: alive * cpu, free: FREE.instanceCpu, price: prices.instanceCpuSecond },
    { used: alive * memory, free: FREE.instanceMemory, price: prices.instanceMemorySecond },
  ];
  const fee = HOURS * prices.clusterHour;
  const pod = (cpuHour: number, memoryHour: number): number =>
    pods * HOURS * (usage['pod-cpu'] * cpuHour + usage['pod-memory'] * memoryHour);
  const onGke = (name: string, dollars: number): Cost => ({
    name,
    dollars: dollars + Math.max(0, fee - FREE.cluster),
    withoutFree: dollars + fee,
  });
  return [
    { name: 'Cloud Run, request-based, from 0 instances', ...bill(perRequest) },
    { name: `Cloud Run, request-based, ${instances} kept warm`, ...bill(perRequest, idle) },
    { name: `Cloud Run, instance-based, ${instances} always`, ...bill(always) },
    onGke(`GKE Autopilot, ${pods} pods`, pod(prices.podCpuHour, prices.podMemoryHour)),
    onGke(`GKE Autopilot, ${pods} Spot pods`, pod(prices.spotCpuHour, prices.spotMemoryHour)),
  ];
}

/** Seconds for which instances are billed: each request's time, rounded up to 100 ms, shared by those that overlap. */
function activeSeconds({ requests, ms, overlap }: Usage): number {
  return (requests * Math.ceil(ms / 100) * 0.1) / overlap;
}

interface Item {
  readonly used: number;
  readonly free: number;
  readonly price: number;
}

function requestBased({ requests, cpu, memory }: Usage, prices: Prices, active: number): Item[] {
  return [
    { used: active * cpu, free: FREE.activeCpu, price: prices.activeCpuSecond },
    { used: active * memory, free: FREE.activeMemory, price: prices.activeMemorySecond },
    { used: requests, free: FREE.requests, price: prices.millionRequests / 1e6 },
  ];
}

function bill(items: readonly Item[], more = 0): Omit<Cost, 'name'> {
  const sum = (used: (item: Item) => number): number =>
    items.reduce((dollars, item) => dollars + used(item) * item.price, more);
  return { dollars: sum(({ used, free }) => Math.max(0, used - free)), withoutFree: sum(({ used }) => used) };
}
