import { kill } from '../../process-tree.ts';
import { repeat, type StartAttack } from '../attack.ts';
import { closedLoop, runFor } from '../clients/load.ts';
import type { Fault } from '../fault.ts';
import { countStatuses, isServed, isWrong } from '../figures.ts';
import { echoWork } from '../models.ts';

const CONNECTIONS = 16;
const EVERY_MS = 1000;

export const killEngines: Fault = {
  name: 'kill-engines',
  title: 'SIGKILL of an engine process every second',
  async run(chaos) {
    const target = await chaos.shared();
    const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() });
    const attack = attackEngines(target, chaos.random);
    const samples = await runFor(load, chaos.scale(30, 6));
    await attack.stop();
    const restarts = await target.metric('engine_restarts_total');
    chaos.holds('engine processes are replaced', restarts > 0, `${restarts}`);
    chaos.holds('no wrong response', !samples.some(isWrong), `${samples.filter(isWrong).length} of ${samples.length}`);
    chaos.holds('no failed request', samples.every(isServed), countStatuses(samples));
  },
};

/** Kills a random engine process every second. */
export const attackEngines: StartAttack = (target, random) =>
  repeat(EVERY_MS, () => {
    const engines = target.engines();
    if (engines.length > 0) kill(random.pick(engines));
  });
