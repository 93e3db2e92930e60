/**
 * `npm run chaos`: loads the production build on loopback, disturbs it in every way of `chaos/faults.ts`, and prints a table of bars.
 *
 * Bars of correctness (no wrong answer, refused, exits 0 in time, memory bounded) fail the command. Bars of speed are printed, and fail
 * it too, but not with `--quick`, as machines of CI are shared.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIfNeeded } from './build-if-needed.ts';
import type { Fault } from './chaos/fault.ts';
import { FAULTS } from './chaos/faults.ts';
import { writeChaosModels } from './chaos/models.ts';
import { formatFindings, header } from './chaos/report.ts';
import { runFaults } from './chaos/run.ts';
import { readCommandLine, refuseUsage } from './command-line.ts';

const USAGE = `npm run chaos: loads the production build on loopback, disturbs it, and prints a table of bars.

Usage: npm run chaos [-- OPTIONS]

  --only NAMES   faults, separated by commas: ${FAULTS.map(({ name }) => name).join(', ')}
  --quick        the short form: some 3 minutes instead of some 25; bars of speed do not fail it
  --seed N       seed of the random numbers; default: 1
  --minutes N    duration of the soak; default: 10

Examples:
  npm run chaos                                  on a machine that does nothing else
  npm run chaos -- --quick
  npm run chaos -- --only overload,kill-engines --seed 7 --minutes 1

Exit code: 1 if a bar was missed.`;

/** Steps of the load of the model that is slow to load: some 5 s, and some 1.5 s in the short form. */
const LOAD_STEPS = { full: 10, quick: 3 };

function chooseFaults(only: string | undefined): readonly Fault[] {
  if (only === undefined) return FAULTS;
  return only.split(',').map((name) => {
    const fault = FAULTS.find((each) => each.name === name);
    if (fault !== undefined) return fault;
    return refuseUsage(`--only: no fault ${name}`);
  });
}

async function main(): Promise<number> {
  const { values } = readCommandLine(USAGE, {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
  });
  const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
  if (!Number.isSafeInteger(seed)) refuseUsage(`--seed: expected an integer, got ${values.seed}`);
  if (!(minutes > 0 && minutes <= 600)) refuseUsage(`--minutes: expected 600 or less, got ${values.minutes}`);
  const { quick } = values;
  const faults = chooseFaults(values.only);
  buildIfNeeded();
  console.log(`${header(quick)}\n`);
  const folder = mkdtempSync(join(tmpdir(), 'chaos-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const models = join(folder, 'models');
  mkdirSync(models);
  writeChaosModels(models, quick ? LOAD_STEPS.quick : LOAD_STEPS.full);
  const findings = await runFaults(faults, { quick, seed, minutes }, folder, models, (finding) =>
    console.log(`  ${finding.verdict.padEnd(9)}  ${finding.fault}: ${finding.bar}: ${finding.seen}`),
  );
  console.log(`\n${formatFindings(findings)}`);
  return findings.some(({ verdict }) => verdict === 'MISSED') ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
