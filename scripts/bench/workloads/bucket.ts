import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { type StorageServer, startStorage } from '../../../test/helpers/storage-server.ts';
import { runClient } from '../client.ts';
import { type Contestant, type ContestantSpec, startContestant } from '../contestant.ts';
import { metricOf, residentOf, versionOf } from '../figures.ts';
import { firstAnswer } from '../first-answer.ts';
import { writeLargeModel } from '../large-model.ts';
import type { ProbeResult } from '../probe.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'bucket';
const SPEED: Bar = { want: 'at least', limit: 0.8, unit: 'x', of: 'speed / curl of the object to disk' };
const GROWTH: Bar = { want: 'at most', limit: 40, unit: 'MB', of: 'growth of the serving process' };
const LOAD: Bar = { want: 'at most', limit: 25, unit: 'ms', of: '/health p99 during a load' };
const SWAP: Bar = { want: 'at most', limit: 25, unit: 'ms', of: '/health p99 during a swap' };

const BUCKET = 'bench-bucket';
const PROBES_PER_SECOND = 100;
const PROBE_SECONDS = 4;
const BOUND_MS = 60_000;

export const bucket: Workload = {
  name: NAME,
  title: 'a model of 200 MB in a bucket on loopback: fetched and loaded, then the next version swapped in',
  bars: [SPEED, GROWTH, LOAD, SWAP],
  async run(bench) {
    const { iris } = bench.inputs.models;
    const spec = bench.product(iris);
    if (spec === undefined) return this.bars.map((bar) => unmeasured(NAME, bar, NOT_BUILT));
    const folder = mkdtempSync(join(tmpdir(), 'bench-bucket-'));
    const versions = [1, 2].map((version) => readFileSync(writeLargeModel(join(folder, String(version)), version)));
    const figures = { speed: [] as number[], growth: [] as number[], load: [] as number[], swap: [] as number[] };
    const rows: string[][] = [];
    try {
      for (let round = 0; round < bench.rounds; round += 1) {
        const storage = await startStorage();
        storage.put(BUCKET, 'large/1/model.onnx', versions[0]!);
        const curl = await timeCurl(storage, join(folder, 'curl'));
        const env = {
          STORAGE_EMULATOR_HOST: storage.url,
          MODEL_URI: `gs://${BUCKET}/large`,
          MODEL_LOAD: 'lazy',
          MODEL_REFRESH_SECONDS: '1',
          INFERENCE_PROCESSES: '1',
        };
        const lazy = { ...spec, env: { ...spec.env, ...env } };
        // Without probes, like curl: a transfer that shares two cores with probes is slower.
        const alone = await measure(lazy, async ({ port, pid }) => {
          const before = residentOf(pid).now;
          await firstAnswer(port, iris.request, AbortSignal.timeout(BOUND_MS));
          const seconds = await metricOf(port, 'model_load_seconds', 'phase="fetching"');
          return { seconds, growth: residentOf(pid).most - before };
        });
        const probed = await measure(lazy, async ({ port }) => {
          const loading = probeHealth(port);
          await firstAnswer(port, iris.request, AbortSignal.timeout(BOUND_MS));
          const load = await loading;
          const swapping = probeHealth(port);
          storage.put(BUCKET, 'large/2/model.onnx', versions[1]!);
          await versionOf(port, '2', BOUND_MS);
          return { load, swap: await swapping };
        });
        await storage.close();
        figures.speed.push(curl / alone.seconds);
        figures.growth.push(alone.growth);
        figures.load.push(probed.load.p99);
        figures.swap.push(probed.swap.p99);
        const row = [curl * 1000, alone.seconds * 1000, alone.growth, probed.load.p99, probed.swap.p99];
        rows.push([String(round + 1), ...row.map(figure)]);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const head = ['round', 'curl ms', 'fetch ms', 'growth MB', 'load p99 ms', 'swap p99 ms'];
    console.log(table(head, rows));
    return [
      judge(NAME, SPEED, spread(figures.speed)),
      judge(NAME, GROWTH, spread(figures.growth)),
      judge(NAME, LOAD, spread(figures.load)),
      judge(NAME, SWAP, spread(figures.swap)),
    ];
  },
};

/** Measurements of a server that has loaded nothing yet. */
async function measure<T>(spec: ContestantSpec, look: (server: Contestant) => Promise<T>): Promise<T> {
  const server = await startContestant(spec, requestBytes('GET', '/health', ''));
  try {
    return await look(server);
  } finally {
    await server.stop();
  }
}

function probeHealth(port: number): Promise<ProbeResult> {
  return runClient<ProbeResult>('load', { port, path: '/health', probe: PROBES_PER_SECOND, seconds: PROBE_SECONDS });
}

/** Seconds that curl takes to write the object to a file: the median of three. */
async function timeCurl({ url }: StorageServer, file: string): Promise<number> {
  const object = `${url}/storage/v1/b/${BUCKET}/o/${encodeURIComponent('large/1/model.onnx')}?alt=media`;
  const times: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    rmSync(file, { force: true });
    const { stdout } = await promisify(execFile)('curl', ['-s', '-o', file, '-w', '%{time_total}', object]);
    times.push(Number(stdout));
  }
  rmSync(file, { force: true });
  return spread(times).median;
}
