import { setTimeout as sleep } from 'node:timers/promises';
import { spread } from '../bench/summary.ts';
import type { Attack, StartAttack } from './attack.ts';
import { ATTACKS } from './attacks.ts';
import { closedLoop } from './clients/load.ts';
import type { Chaos, Fault } from './fault.ts';
import { countStatuses, isServed, isWrong } from './figures.ts';
import { echoWork } from './models.ts';
import { repositoryEnv } from './run.ts';
import type { Target } from './target.ts';

const CONNECTIONS = 4;
/** Attacks at the same time. */
const AT_ONCE = 2;
/** Growth that is no fault: the larger of the two. */
const LEVEL_MB = 60;
const LEVEL_SHARE = 0.2;
const LEVEL_HANDLES = 30;
const CALM_MS = 2000;
const QUICK_MS = 6000;

export const soak: Fault = {
  name: 'soak',
  title: 'all of the others, two at a time',
  async run(chaos) {
    const target = await chaos.start({ env: { ...repositoryEnv(chaos.models), ...chaos.sharedEnv } });
    const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() });
    // Once each: their models are loaded, and pools are filled.
    for (const attack of Object.values(ATTACKS)) await attackFor(chaos, target, [attack], chaos.scale(3000, 400));
    await sleep(CALM_MS);
    const handlesBefore = target.handles();
    const levels = [target.memory()];
    const end = performance.now() + (chaos.quick ? QUICK_MS : chaos.minutes * 60_000);
    while (performance.now() < end) {
      const attacks = Array.from({ length: AT_ONCE }, () => chaos.random.pick(Object.values(ATTACKS)));
      await attackFor(chaos, target, attacks, chaos.scale(10_000, 2000));
      levels.push(target.memory());
    }
    await sleep(CALM_MS);
    const handlesAfter = target.handles();
    const samples = await load.stop();
    chaos.holds('no wrong response', !samples.some(isWrong), `${samples.filter(isWrong).length} of ${samples.length}`);
    chaos.holds('each request is served', samples.every(isServed), countStatuses(samples));
    // After a large body the serving process has up to a few hundred MB that V8 has not collected yet.
    const half = Math.ceil(levels.length / 2);
    const [before, after] = [spread(levels.slice(0, half)).median, spread(levels.slice(half)).median];
    const most = before + Math.max(LEVEL_MB, before * LEVEL_SHARE);
    const seen = `${before.toFixed(0)}, then ${after.toFixed(0)} MB (medians of the halves)`;
    chaos.holds(`memory <= ${most.toFixed(0)} MB`, after <= most, seen);
    const handles = handlesBefore + LEVEL_HANDLES;
    chaos.holds(`handles <= ${handles}`, handlesAfter <= handles, `${handlesBefore}, then ${handlesAfter}`);
  },
};

async function attackFor(chaos: Chaos, target: Target, attacks: readonly StartAttack[], ms: number): Promise<void> {
  const running: Attack[] = attacks.map((attack) => attack(target, chaos.random));
  await sleep(ms);
  await Promise.all(running.map((attack) => attack.stop()));
}
