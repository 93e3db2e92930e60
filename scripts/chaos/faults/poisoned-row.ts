import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { repeat } from '../attack.ts';
import { closedLoop } from '../clients/load.ts';
import { measurePeak } from '../clients/peak.ts';
import { atLeast, type Fault } from '../fault.ts';
import { countStatuses, goodput, isWrong } from '../figures.ts';
import { ENDLESS_ROW, HEAVY, slowWork } from '../models.ts';

const CONNECTIONS = 8;
const EVERY_MS = 1000;

export const poisonedRow: Fault = {
  name: 'poisoned-row',
  title: 'a row a second that costs its engine process, of a model that loads for seconds',
  async run(chaos) {
    const started = performance.now();
    const env = { MODEL_URI: join(chaos.models, HEAVY), RUN_TIMEOUT_MS: '500', REQUEST_TIMEOUT_MS: '20000' };
    const target = await chaos.start({ env });
    const load = (performance.now() - started) / 1000;
    const seconds = chaos.scale(30, 6);
    const peak = await measurePeak(target.port, slowWork(), CONNECTIONS, chaos.scale(10, 2));
    const row = { method: 'POST', path: '/predict', headers: { 'Content-Type': 'application/json' } } as const;
    let [sent, refused] = [0, 0];
    const attack = repeat(EVERY_MS, async () => {
      sent++;
      const { status } = await target.send({ ...row, body: ENDLESS_ROW });
      if (status !== 504) refused++;
    });
    const others = closedLoop({ port: target.port, connections: CONNECTIONS, make: slowWork() });
    await sleep(seconds * 1000);
    await attack.stop();
    const samples = await others.stop();
    chaos.holds('no wrong response', !samples.some(isWrong), countStatuses(samples));
    const share = goodput(samples, 0, seconds * 1000) / peak.rate;
    const what = `start of ${load.toFixed(1)} s, ${sent} poisoned rows, ${refused} of them without 504`;
    chaos.compares(`goodput of others / alone >= 0.8 (${what})`, share, atLeast(0.8));
  },
};
