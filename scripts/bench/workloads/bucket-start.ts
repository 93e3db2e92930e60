import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startStorage } from '../../../test/helpers/storage-server.ts';
import { startContestant } from '../contestant.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';

const NAME = 'bucket-start';
const LATER: Bar = { want: 'at most', limit: 300, unit: 'ms', of: 'first prediction later than bundled' };
const BUCKET = 'bench-bucket';

export const bucketStart: Workload = {
  name: NAME,
  title: 'from exec to the first answered prediction, iris in a bucket on loopback and bundled',
  bars: [LATER],
  async run(bench) {
    const { iris } = bench.inputs.models;
    const bundled = bench.product(iris);
    if (bundled === undefined) return [unmeasured(NAME, LATER, NOT_BUILT)];
    const storage = await startStorage();
    for (const name of readdirSync(iris.folder))
      storage.put(BUCKET, `iris/${name}`, readFileSync(join(iris.folder, name)));
    const env = { STORAGE_EMULATOR_HOST: storage.url, MODEL_URI: `gs://${BUCKET}/iris` };
    const remote = { ...bundled, env: { ...bundled.env, ...env } };
    const times: [bundled: number, remote: number][] = [];
    try {
      const starts = bench.quick ? 3 : Math.max(5, bench.rounds);
      // The first start of each reads its files from the disk; the ones that count find them in memory.
      for (let i = -1; i < starts; i += 1) {
        const pair: number[] = [];
        for (const spec of [bundled, remote]) {
          const server = await startContestant(spec, iris.request);
          pair.push(server.startMs);
          await server.stop();
        }
        if (i >= 0) times.push(pair as [number, number]);
      }
    } finally {
      await storage.close();
    }
    const rows = (['bundled', 'bucket'] as const).map((name, at) => {
      const { median, min, max } = spread(times.map((pair) => pair[at]!));
      return [name, figure(median), figure(min), figure(max)];
    });
    console.log(table(['model', 'median ms', 'least', 'most'], rows));
    return [judge(NAME, LATER, spread(times.map(([own, other]) => other - own)))];
  },
};
