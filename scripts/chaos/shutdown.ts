import { setTimeout as sleep } from 'node:timers/promises';
import type { StartAttack } from './attack.ts';
import { ATTACKS } from './attacks.ts';
import { closedLoop } from './clients/load.ts';
import { endByTerm } from './end.ts';
import type { Chaos, Fault } from './fault.ts';
import { attackByReadiness } from './faults/cycling-models.ts';
import { countStatuses, isWrong } from './figures.ts';
import { echoWork } from './models.ts';
import { repositoryEnv } from './run.ts';

const CONNECTIONS = 4;
const GRACE_MS = 2000;
export const shutdown: Fault = {
  name: 'shutdown',
  title: 'SIGTERM in the middle of each of the others',
  async run(chaos) {
    const attacks = Object.entries({ ...ATTACKS, 'readiness of all models': attackByReadiness });
    const atOnce = chaos.scale(1, 3);
    for (let i = 0; i < attacks.length; i += atOnce) {
      await Promise.all(attacks.slice(i, i + atOnce).map(([name, attack]) => endDuring(chaos, name, attack)));
    }
  },
};

async function endDuring(chaos: Chaos, name: string, attack: StartAttack): Promise<void> {
  const env = { ...repositoryEnv(chaos.models), ...chaos.sharedEnv, SHUTDOWN_GRACE_MS: String(GRACE_MS) };
  const target = await chaos.start({ env });
  const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() });
  const running = attack(target, chaos.random);
  await sleep(chaos.scale(5000, 800));
  await endByTerm(chaos, target, name, GRACE_MS);
  const [samples] = await Promise.all([load.stop(), running.stop()]);
  if (samples.some(isWrong)) chaos.holds(`${name}: no wrong response`, false, countStatuses(samples));
}
