import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '../../../test/helpers/redis-server.ts';
import { startStorage } from '../../../test/helpers/storage-server.ts';
import { startContestant } from '../contestant.ts';
import { writeLargeModel } from '../large-model.ts';
import { type Bar, judge, ratios, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'redis';
const FASTER: Bar = { want: 'at most', limit: 1, unit: 'x', of: 'time / without Redis' };
const BUCKET = 'bench-bucket';

export const redis: Workload = {
  name: NAME,
  title: 'cold start of a second instance, 200 MB, a bucket of 50 ms and 50 MB/s: with Redis and without',
  bars: [FASTER],
  async run(bench) {
    const { iris } = bench.inputs.models;
    const spec = bench.product(iris);
    if (spec === undefined) return [unmeasured(NAME, FASTER, NOT_BUILT)];
    const folder = mkdtempSync(join(tmpdir(), 'bench-redis-'));
    const bytes = readFileSync(writeLargeModel(folder, 1));
    const storage = await startStorage({ latencyMs: 50, bytesPerSecond: 50e6 });
    storage.put(BUCKET, 'large/model.onnx', bytes);
    const cache = await startRedis();
    const plain = { STORAGE_EMULATOR_HOST: storage.url, MODEL_URI: `gs://${BUCKET}/large`, INFERENCE_PROCESSES: '1' };
    const cached = { ...plain, REDIS_URL: cache.url };
    const start = async (env: Record<string, string>): Promise<number> => {
      const server = await startContestant({ ...spec, env: { ...spec.env, ...env } }, iris.request);
      await server.stop();
      return server.startMs;
    };
    const [first, without, second]: [number[], number[], number[]] = [[], [], []];
    try {
      for (let round = 0; round < (bench.quick ? 1 : bench.rounds); round += 1) {
        await cache.flush();
        without.push(await start(plain));
        first.push(await start(cached));
        second.push(await start(cached));
      }
    } finally {
      await cache.close();
      await storage.close();
      rmSync(folder, { recursive: true, force: true });
    }
    const rows = [
      ['without Redis', ...without.map(figure)],
      ['the first with it, which fills', ...first.map(figure)],
      ['the second with it', ...second.map(figure)],
    ];
    console.log(table(['instance', ...without.map((_, round) => `ms, round ${round + 1}`)], rows));
    return [judge(NAME, FASTER, ratios(second, without))];
  },
};
