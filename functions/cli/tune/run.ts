import { loadavg } from 'node:os';
import { engineBytes, packedEngineBytes, SERVER_BYTES } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';
import { INSTANCE_SIZES } from '../prices/instance-sizes.ts';
import { LIST_PRICES, readPrices } from '../prices/prices.ts';
import { findLocalModel } from '../samples/local-model.ts';
import { formatMs } from '../terminal/format.ts';
import type { Outcome, VerbContext } from '../terminal/reporting.ts';
import { planSettings } from '../write-settings/plan-settings.ts';
import { describeFiles, writeFiles } from '../write-settings/write-files.ts';
import type { TuneArguments } from './arguments.ts';
import { createBench } from './bench.ts';
import type { Goal, Point, Sample } from './objective.ts';
import { describe, jsonOf, reportLines, type Tuned } from './report.ts';
import { prepare } from './rows.ts';
import { search } from './search.ts';
import { axesOf, defaultSettings, type Settings, variablesOf } from './settings.ts';

/** Of a load: shorter ones vary too much, longer ones leave no time for others. */
const LEAST_SECONDS = 0.5;
const MOST_SECONDS = 5;
/** About as many loads fit into the budget. */
const LOADS = 70;
/** Settings with which the server does not serve. */
const FAILED: Sample = {
  rate: 0,
  p99Ms: Number.POSITIVE_INFINITY,
  memoryBytes: 0,
  errorRate: 1,
  generatorCores: 0,
};
/** The machine's load for each CPU above which results vary. */
const MOST_BUSY = 0.5;
const WRITE_HINT = '--write writes the settings into service.yaml and k8s/';

/** Finds settings for a model on this machine. @throws ServingError if the model does not load, or the prices cannot be read */
export async function run(options: TuneArguments, context: VerbContext): Promise<Outcome> {
  const { progress, signal, onEnd } = context;
  const list = options.prices === undefined ? LIST_PRICES : readPrices(options.prices);
  const project = options.write === true ? '.' : options.write;
  const model = await findLocalModel(options.path);
  // Refused now rather than after minutes.
  if (project !== undefined) planSettings(project, {});
  progress.step('loading the model');
  const { facts, mappedBytes, requests, from } = await prepare(model, options.rows, signal);
  const leastBytes = ({ processes, weights }: Settings): number => {
    const copied = model.bytes - mappedBytes;
    if (weights === 'mapped') return SERVER_BYTES + mappedBytes + processes * engineBytes(copied);
    return SERVER_BYTES + processes * packedEngineBytes(mappedBytes, copied);
  };
  const [busy = 0] = loadavg();
  if (busy > facts.cpus * MOST_BUSY && !options.json)
    context.note(`other programs use the CPUs (load ${busy.toFixed(1)}): the results will vary`);
  const goal: Goal = { prices: list.prices, cpus: facts.cpus, way: options.bill, p99Ms: options.p99, leastBytes };
  const seconds = Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, options.budget / LOADS / 1.5));
  const bench = createBench({ model: model.path, modelBytes: model.bytes, requests, seconds, signal });
  onEnd(() => bench.close());
  const started = performance.now();
  const used = (): number => (performance.now() - started) / 1000 / options.budget;
  let loads = 0;
  let cores = 0;
  progress.step('measuring');
  const found = await search({
    defaults: defaultSettings(facts),
    axes: axesOf(facts),
    goal,
    used,
    async measure(settings, what) {
      const detail = `${what}: ${describe(settings)}`;
      progress.update(Math.min(used(), 1), 1, detail);
      const sample = await bench.measure(settings).catch((error: unknown) => {
        // The defaults work: so many processes may not fit into memory.
        if (loads > 0 && error instanceof ServingError) return FAILED;
        throw error;
      });
      loads += 1;
      cores = Math.max(cores, sample.generatorCores);
      if (!process.stderr.isTTY && !options.json)
        context.note(`${detail}: ${Math.round(sample.rate)}/s, p99 ${formatMs(sample.p99Ms)}`);
      return sample;
    },
  });
  await bench.close();
  const tuned: Tuned = { ...found, facts, goal, list, from, place: options.path, loads, seconds, cores };
  const isGood = found.best.fault === undefined;
  const written = project === undefined || !isGood ? [] : write(project, found.best, goal);
  return {
    isGood,
    json: { ...jsonOf(tuned), written: written.map(({ path }) => path) },
    lines: [
      ...reportLines(tuned, context.styles),
      ...(isGood ? ['', ...(project === undefined ? [WRITE_HINT] : describeFiles(written))] : []),
    ],
  };
}

/** Writes the settings, with the CPU and memory that they were measured with. */
function write(folder: string, { settings, instanceBytes }: Point, { cpus }: Goal) {
  const { files } = planSettings(folder, {
    cpu: INSTANCE_SIZES.some(([cpu]) => cpu === cpus) ? cpus : undefined,
    memoryBytes: instanceBytes,
    concurrency: settings.concurrency,
    variables: variablesOf(settings),
  });
  writeFiles(files);
  return files;
}
