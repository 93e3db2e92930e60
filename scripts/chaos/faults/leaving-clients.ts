import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartAttack } from '../attack.ts';
import { openLoop } from '../clients/load.ts';
import { measurePeak } from '../clients/peak.ts';
import { atLeast, type Fault } from '../fault.ts';
import { countStatuses, goodputWindows, isFailed, isWrong } from '../figures.ts';
import { CONVOLUTION, convolutionRow, sameWork } from '../models.ts';

const TIMES = 1.3;
const CONNECTIONS = 4;
/** How long clients wait in the short form, in runs, on a slow machine. */
const PATIENCE_RUNS = 10;

export const leavingClients: Fault = {
  name: 'leaving-clients',
  title: '1.3 times as many requests as can be served, of clients that leave without a response',
  async run(chaos) {
    const { port } = await chaos.start({ env: { MODEL_URI: join(chaos.models, CONVOLUTION) } });
    const make = sameWork('/predict', convolutionRow());
    const { rate: peak, runMs } = await measurePeak(port, make, CONNECTIONS, chaos.scale(10, 3));
    const [seconds, windowMs] = [chaos.scale(60, 8), chaos.scale(5000, 2000)];
    const leaveAfterMs = chaos.quick ? Math.max(1000, PATIENCE_RUNS * runMs) : 5000;
    const load = openLoop({ port, perSecond: peak * TIMES, random: chaos.random, make, leaveAfterMs });
    await sleep(seconds * 1000);
    const samples = await load.stop();
    const bad = samples.filter((sample) => isWrong(sample) || isFailed(sample));
    chaos.holds('each request is served, refused or left', bad.length === 0, countStatuses(samples));
    // The first clients find an idle server.
    const windows = goodputWindows(samples, windowMs, seconds * 1000, windowMs);
    const lowest = Math.min(...windows) / peak;
    chaos.compares(`lowest goodput of ${windowMs / 1000} s / peak >= 0.9`, lowest, atLeast(0.9));
  },
};

/** Clients of the convolution net that leave after half a second. */
export const attackByLeaving: StartAttack = ({ port }, random) => {
  const make = sameWork(`/models/${CONVOLUTION}/predict`, convolutionRow());
  const load = openLoop({ port, random, make, perSecond: 60, leaveAfterMs: 500 });
  return {
    async stop() {
      await load.stop();
    },
  };
};
