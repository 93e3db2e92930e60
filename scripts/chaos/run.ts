import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { figure } from '../bench/table.ts';
import { createRandom } from '../fuzz/random.ts';
import { type Chaos, type Fault, type Finding, judge, type Scale } from './fault.ts';
import { ECHO } from './models.ts';
import { startTarget, type Target, type TargetOptions } from './target.ts';

/** Settings of the server that several faults share: limits that pass within a short run. */
export const SHARED_ENV = { REQUEST_TIMEOUT_MS: '4000', RUN_TIMEOUT_MS: '1500', SHUTDOWN_GRACE_MS: '3000' } as const;

/** Settings for the repository of all models, with ECHO behind `/predict`; each model is loaded at its first request. */
export const repositoryEnv = (models: string): Readonly<Record<string, string>> => ({
  MODEL_URI: models,
  MODEL_NAME: ECHO,
  MODEL_LOAD: 'lazy',
});

/** Runs the faults one after the other; `onFinding` is called with each finding. */
export async function runFaults(
  faults: readonly Fault[],
  scale: Scale,
  folder: string,
  models: string,
  onFinding: (finding: Finding) => void,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  let shared: Target | undefined;

  async function startShared(): Promise<Target> {
    // A fault may have ended it.
    if (shared?.child.exitCode !== null) shared = undefined;
    shared ??= await startTarget({ env: { ...repositoryEnv(models), ...SHARED_ENV } });
    await shared.waitUntilReady();
    return shared;
  }

  for (const [i, fault] of faults.entries()) {
    const report = (bar: string, seen: string, verdict: Finding['verdict']): void => {
      const finding = { fault: fault.name, bar, seen, verdict };
      findings.push(finding);
      onFinding(finding);
    };
    const started: Target[] = [];
    const own = join(folder, fault.name);
    mkdirSync(own);
    const chaos: Chaos = {
      ...scale,
      random: createRandom(scale.seed + i),
      models,
      folder: own,
      scale: (full, quick) => (scale.quick ? quick : full),
      async start(options: TargetOptions) {
        const target = await startTarget(options);
        started.push(target);
        return target;
      },
      shared: startShared,
      sharedEnv: SHARED_ENV,
      holds: (bar, met, seen) => report(bar, seen, met ? 'met' : 'MISSED'),
      compares: (bar, value, limit, unit = '') =>
        report(bar, `${figure(value)} ${unit}`.trimEnd(), judge(value, limit, scale.quick)),
      skips: (bar, why) => report(bar, why, 'skipped'),
    };
    try {
      await fault.run(chaos);
    } catch (error) {
      report('the fault can be run', (error as Error).message, 'MISSED');
    }
    await Promise.all(started.map((target) => target.stop('SIGKILL')));
  }
  await shared?.stop('SIGKILL');
  return findings;
}
