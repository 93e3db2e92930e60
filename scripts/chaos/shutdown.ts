import { setTimeout as sleep } from 'node:timers/promises';
import type { StartAttack } from './attack.ts';
import { ATTACKS } from './attacks.ts';
import type { Chaos, Fault } from './fault.ts';
import { isWrong } from './figures.ts';
import { closedLoop } from './load.ts';
import { echoWork } from './models.ts';
import { repositoryEnv } from './run.ts';

const CONNECTIONS = 4;
const GRACE_MS = 2000;
/** The processes of a shared machine end later than they would alone. */
const SLACK_MS = { full: 1000, quick: 5000 };

export const shutdown: Fault = {
  name: 'shutdown',
  title: 'SIGTERM in the middle of each of the others',
  async run(chaos) {
    const attacks = Object.entries(ATTACKS);
    const atOnce = chaos.scale(1, 2);
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
  await sleep(chaos.scale(5000, 1000));
  const { code, signal, ms, left } = await target.stop();
  const [samples] = await Promise.all([load.stop(), running.stop()]);
  const most = GRACE_MS + (chaos.quick ? SLACK_MS.quick : SLACK_MS.full);
  const isRight = code === 0 && ms <= most && left.length === 0 && !samples.some(isWrong);
  chaos.holds(`${name}: exits with 0 within ${most} ms`, isRight, `${signal ?? code} after ${ms.toFixed(0)} ms`);
}
