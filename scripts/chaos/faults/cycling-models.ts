import { mkdirSync } from 'node:fs';
import { type Attack, repeat, type StartAttack } from '../attack.ts';
import { closedLoop, runFor } from '../clients/load.ts';
import { measurePeak } from '../clients/peak.ts';
import { atLeast, type Fault } from '../fault.ts';
import { countStatuses, goodput, isServed } from '../figures.ts';
import { CONVOLUTION, COPIES, ECHO, echoWork, HALF_WIDE, HEAVY, IRIS, SLOW, WIDE, writeCopies } from '../models.ts';
import type { Target } from '../target.ts';

const BUDGET_BYTES = 512 * 2 ** 20;
const CONNECTIONS = 8;
const SAMPLE_MS = 500;
/** Ten probes a second, of a model each. */
const PROBE_MS = 100;

export const cyclingModels: Fault = {
  name: 'cycling-models',
  title: 'more models than fit into the memory, and a client that probes the readiness of each in turn',
  async run(chaos) {
    mkdirSync(chaos.folder, { recursive: true });
    writeCopies(chaos.folder, chaos.models);
    const budget = { MODEL_MEMORY_BUDGET: String(BUDGET_BYTES), INFERENCE_PROCESSES: '1' };
    const env = { MODEL_URI: chaos.folder, MODEL_NAME: 'm0', MODEL_LOAD: 'lazy', ...budget };
    const target = await chaos.start({ env });
    const seconds = chaos.scale(30, 4);
    const peak = await measurePeak(target.port, echoWork(), CONNECTIONS, seconds / 2);
    const cycle = cycleModels(target);
    let most = 0;
    const watch = repeat(SAMPLE_MS, () => {
      most = Math.max(most, target.memory());
    });
    const samples = await runFor(
      closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() }),
      seconds,
    );
    await Promise.all([cycle.stop(), watch.stop()]);
    chaos.holds(`the model in use serves, while ${COPIES} take turns`, samples.every(isServed), countStatuses(samples));
    const evicted = await target.metric('model_unloads_total');
    const rate = goodput(samples, 0, seconds * 1000) / peak.rate;
    chaos.compares(`its goodput / alone >= 0.8 (${evicted} others were evicted)`, rate, atLeast(0.8));
    const limit = (BUDGET_BYTES * 1.25) / 1e6;
    chaos.holds(`memory <= ${limit.toFixed(0)} MB (the budget and the server)`, most <= limit, `${most.toFixed(0)} MB`);
  },
};

/** Asks `m1`, `m2`, … in turn whether they are ready, which loads them, as probes of an orchestrator do. */
function cycleModels({ send }: Target): Attack {
  let next = 0;
  return repeat(PROBE_MS, () => {
    next = (next % (COPIES - 1)) + 1;
    return send({ method: 'GET', path: `/v2/models/m${next}/ready` });
  });
}

/** Asks all models of the repository in turn whether they are ready. */
export const attackByReadiness: StartAttack = ({ send }) => {
  const names = [ECHO, SLOW, CONVOLUTION, WIDE, HALF_WIDE, IRIS, HEAVY];
  let next = 0;
  return repeat(PROBE_MS, () => send({ method: 'GET', path: `/v2/models/${names[next++ % names.length]}/ready` }));
};
