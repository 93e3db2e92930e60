import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { repeat, type StartAttack } from '../attack.ts';
import { openLoop } from '../clients/load.ts';
import { endByTerm } from '../end.ts';
import type { Chaos, Fault } from '../fault.ts';
import { countStatuses, isServed } from '../figures.ts';
import { ENDLESS_ROW, SLOW, slowWork } from '../models.ts';
import type { Target } from '../target.ts';

const PER_SECOND = 50;
const RUN_TIMEOUT_MS = 1000;
const GRACE_MS = 2000;
/** Rows of the run that a stopped engine had, at this load. */
const MOST_ROWS = 3;

export const stoppedEngine: Fault = {
  name: 'stopped-engine',
  title: 'a run that does not end, and an engine process that is stopped',
  async run(chaos) {
    const limits = {
      RUN_TIMEOUT_MS: String(RUN_TIMEOUT_MS),
      REQUEST_TIMEOUT_MS: '15000',
      SHUTDOWN_GRACE_MS: String(GRACE_MS),
    };
    const target = await chaos.start({ env: { MODEL_URI: join(chaos.models, SLOW), ...limits } });
    await hang(chaos, target);
    await pause(chaos, target);
    await endWhilePaused(chaos, target);
  },
};

async function hang(chaos: Chaos, target: Target): Promise<void> {
  const load = openLoop({ port: target.port, perSecond: PER_SECOND, random: chaos.random, make: slowWork() });
  const owner = await target.send({ method: 'POST', path: '/predict', headers: JSON_TYPE, body: ENDLESS_ROW });
  await sleep(chaos.scale(5000, 1000));
  const samples = await load.stop();
  chaos.holds('the owner of a run that does not end gets 504', owner.status === 504, String(owner.status));
  chaos.holds('all others are served', samples.every(isServed), countStatuses(samples));
}

async function pause(chaos: Chaos, target: Target): Promise<void> {
  const load = openLoop({ port: target.port, perSecond: PER_SECOND, random: chaos.random, make: slowWork() });
  await sleep(500);
  // The first in the pool has most of a light load.
  process.kill(target.engines()[0]!, 'SIGSTOP');
  await sleep(RUN_TIMEOUT_MS + chaos.scale(5000, 1500));
  const samples = await load.stop();
  const failed = samples.filter((sample) => !isServed(sample));
  const isBounded = failed.length <= MOST_ROWS && failed.every(({ status }) => status === 504);
  chaos.holds('SIGSTOP: only the rows of its run get 504', isBounded, countStatuses(samples));
  const restarts = await target.metric('engine_restarts_total');
  chaos.holds('both engine processes were replaced', restarts >= 2, `${restarts} replaced`);
}

/** Stops all engine processes, so that requests are in flight that cannot be answered. */
async function endWhilePaused(chaos: Chaos, target: Target): Promise<void> {
  for (const engine of target.engines()) process.kill(engine, 'SIGSTOP');
  const load = openLoop({ port: target.port, perSecond: PER_SECOND, random: chaos.random, make: slowWork() });
  await sleep(RUN_TIMEOUT_MS / 2);
  await endByTerm(chaos, target, 'SIGTERM while all are stopped', GRACE_MS);
  await load.stop();
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** Sends a row whose run does not end every two seconds. */
export const attackByHanging: StartAttack = ({ send }) =>
  repeat(2000, () => send({ method: 'POST', path: `/models/${SLOW}/predict`, headers: JSON_TYPE, body: ENDLESS_ROW }));
