import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

function ticks(): { busy: number; all: number } {
  let [idle, all] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { busy: all - idle, all };
}

/**
 * The number of busy cores of the machine over the next second. While the harness itself waits, these are used by others: with more
 * than a tenth of a core, the figures that follow are rough.
 */
export async function busyCores(): Promise<number> {
  const before = ticks();
  await sleep(1000);
  const after = ticks();
  return ((after.busy - before.busy) / (after.all - before.all)) * cpus().length;
}
