/**
 * Measures the production build side by side with baselines, in one run and on one machine, and prints a table for each
 * workload and a summary. Speed is reported, not asserted: the exit code is 0 whatever the figures are.
 *
 * Each workload is a file in bench/workloads, with its bars.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { makeInputs } from './bench/bench-inputs.ts';
import { busyCores } from './bench/machine.ts';
import { unmeasured, type Verdict } from './bench/summary.ts';
import { verdictTable } from './bench/table.ts';
import { type Bench, PRODUCT, type Workload } from './bench/workload.ts';
import { batch } from './bench/workloads/batch.ts';
import { batching } from './bench/workloads/batching.ts';
import { bucket } from './bench/workloads/bucket.ts';
import { bucketStart } from './bench/workloads/bucket-start.ts';
import { convImage } from './bench/workloads/conv-image.ts';
import { convSmall } from './bench/workloads/conv-small.ts';
import { image } from './bench/workloads/image.ts';
import { iris } from './bench/workloads/iris.ts';
import { irisAlone } from './bench/workloads/iris-alone.ts';
import { memory } from './bench/workloads/memory.ts';
import { mlp } from './bench/workloads/mlp.ts';
import { pictures } from './bench/workloads/pictures.ts';
import { redis } from './bench/workloads/redis.ts';
import { repository } from './bench/workloads/repository.ts';
import { shutdown } from './bench/workloads/shutdown.ts';
import { start } from './bench/workloads/start.ts';
import { swaps } from './bench/workloads/swaps.ts';
import { text } from './bench/workloads/text.ts';
import { textStart } from './bench/workloads/text-start.ts';
import { weights } from './bench/workloads/weights.ts';
import { readCommandLine, refuseUsage } from './command-line.ts';
import { SERVER_FLAGS } from './node-flags.ts';

const WORKLOADS: readonly Workload[] = [
  iris,
  irisAlone,
  mlp,
  convSmall,
  convImage,
  start,
  memory,
  weights,
  batch,
  batching,
  shutdown,
  bucketStart,
  bucket,
  redis,
  swaps,
  repository,
  text,
  textStart,
  pictures,
  image,
];
const REPOSITORY = join(import.meta.dirname, '..');
const FRAMEWORK_COMMAND = join(REPOSITORY, 'node_modules/@google-cloud/functions-framework/build/src/main.js');

const USAGE = `npm run bench: measures the production build beside baselines, and prints a table for each workload.

Usage: npm run bench [-- OPTIONS]

  --only NAMES     workloads, separated by commas: ${WORKLOADS.map(({ name }) => name).join(', ')}
  --rounds N       rounds of each measurement; default: 3
  --quick          shorter rounds, rough figures
  --cpu-prof DIR   writes CPU profiles of the server to DIR
  --server FILE    measures an existing build, without building

Examples:
  npm run bench
  npm run bench -- --only iris,mlp --quick`;

const { values } = readCommandLine(USAGE, {
  only: { type: 'string' },
  rounds: { type: 'string', default: '3' },
  quick: { type: 'boolean', default: false },
  'cpu-prof': { type: 'string' },
  server: { type: 'string' },
});

const names = values.only?.split(',') ?? WORKLOADS.map(({ name }) => name);
const unknown = names.filter((name) => !WORKLOADS.some((workload) => workload.name === name));
const rounds = Number(values.rounds);
if (unknown.length > 0) refuseUsage(`--only: no workload ${unknown.join(', ')}`);
if (!Number.isInteger(rounds) || rounds < 1) refuseUsage(`--rounds takes an integer from 1, got ${values.rounds}`);

const server = resolve(values.server ?? join(REPOSITORY, 'dist/server.js'));
if (values.server === undefined) {
  const built = spawnSync(process.execPath, [join(REPOSITORY, 'scripts/build.ts')], { encoding: 'utf8' });
  if (built.status !== 0) console.log(`the build failed:\n${built.stderr.trim()}\n`);
}
const hasProduct = existsSync(server);
if (!hasProduct) console.log(`no ${server}: the baselines run alone`);

const temp = mkdtempSync(join(tmpdir(), 'bench-'));
process.on('exit', () => rmSync(temp, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
const profile = values['cpu-prof'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(values['cpu-prof'])}`];

const bench: Bench = {
  rounds,
  quick: values.quick,
  inputs: await makeInputs(temp),
  product(model, env = {}) {
    if (!hasProduct) return undefined;
    const command = [process.execPath, ...SERVER_FLAGS, ...profile, server] as const;
    return { name: PRODUCT, command, env: { ...env, MODEL_URI: model.folder }, cwd: REPOSITORY };
  },
  baseline(name, file, model, args = []) {
    const source = this.inputs.baselines[file];
    const served =
      file === 'framework' ? [FRAMEWORK_COMMAND, '--target=predict', `--source=${source}`] : [source, ...args];
    return { name, command: [process.execPath, ...served], env: { MODEL_URI: model.folder }, cwd: temp };
  },
};

console.log(
  `node ${process.version}, ${availableParallelism()} CPUs (${cpus()[0]?.model.trim()}), ` +
    `${Math.round(totalmem() / 1e9)} GB; ${rounds} rounds, medians of them${values.quick ? '; quick: figures are rough' : ''}`,
);
const verdicts: Verdict[] = [];
for (const workload of WORKLOADS.filter(({ name }) => names.includes(name))) {
  const busy = await busyCores();
  const others = busy > 0.1 ? ` (others use ${busy.toFixed(1)} cores: rough figures)` : '';
  console.log(`\n${workload.name}: ${workload.title}${others}`);
  try {
    verdicts.push(...(await workload.run(bench)));
  } catch (error) {
    const [why = 'failed'] = (error as Error).message.split('\n');
    console.log(`  ${(error as Error).message}`);
    verdicts.push(...workload.bars.map((bar) => unmeasured(workload.name, bar, why)));
  }
}
console.log(`\nsummary\n${verdictTable(verdicts)}`);
