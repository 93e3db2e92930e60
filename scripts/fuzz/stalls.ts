import { once } from 'node:events';
import { Agent } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { exchange } from '../conformance/http.ts';

/** Times of the responses of `/health/live` while the bodies were sent. */
interface Stalls {
  readonly worstMs: number;
  readonly p99Ms: number;
}

const PROBE_MS = 20;
const ANSWER_MS = 60_000;

/** Requests `/health/live` repeatedly until `stop`, in a thread, so that this program's own work is not measured. */
export function watchStalls(url: string): { stop(): Promise<Stalls> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: { url } });
  return {
    async stop() {
      worker.postMessage('stop');
      const [stalls] = (await once(worker, 'message')) as [Stalls];
      return stalls;
    },
  };
}

async function watch(url: string): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const times: number[] = [];
  let over = false;
  parentPort!.once('message', () => {
    over = true;
  });
  while (!over || times.length === 0) {
    const start = performance.now();
    await exchange(url, { method: 'GET', path: '/health/live', agent }, ANSWER_MS).catch(() => undefined);
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
  }
  agent.destroy();
  times.sort((a, b) => a - b);
  parentPort!.postMessage({ worstMs: times.at(-1)!, p99Ms: times[Math.floor(times.length * 0.99)]! } satisfies Stalls);
}

if (!isMainThread) await watch((workerData as { url: string }).url);
