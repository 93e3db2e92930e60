import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** One value of a server's `/metrics`; NaN if it is missing. */
export async function metricOf(port: number, name: string, label = ''): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await response.text();
  const line = text.split('\n').find((each) => each.startsWith(name) && each.includes(label));
  return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ') + 1));
}

/** The resident memory of one process in MB: current, and the maximum so far. */
export function residentOf(pid: number): { readonly now: number; readonly most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const read = (field: string): number =>
    (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { now: read('VmRSS'), most: read('VmHWM') };
}

/** Waits until the model behind `/predict` serves this version. @throws Error after `boundMs`. */
export async function versionOf(port: number, version: string, boundMs: number): Promise<void> {
  const until = performance.now() + boundMs;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    const { model } = (await response.json()) as { model: { version?: string } };
    if (model.version === version) return;
    if (performance.now() > until) throw new Error(`version ${version} did not serve within ${boundMs} ms`);
    await sleep(20);
  }
}
