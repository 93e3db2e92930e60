import { raceServers, raceTable } from '../race.ts';
import type { Bar } from '../summary.ts';
import { judgeAgainst, PLAIN, present, type Workload } from '../workload.ts';

const NAME = 'mlp';
const OVER_PLAIN: Bar = { want: 'at least', limit: 1.8, unit: 'x', of: `rate / ${PLAIN}` };

export const mlp: Workload = {
  name: NAME,
  title: 'multi-layer perceptron 784-1024-1024-10, 32 connections',
  bars: [OVER_PLAIN],
  async run(bench) {
    const model = bench.inputs.models.mlp;
    const servers = present([bench.product(model), bench.baseline(PLAIN, 'plain-http', model)]);
    const race = await raceServers(servers, model, { connections: 32, seconds: bench.quick ? 1 : 4 }, bench.rounds);
    console.log(raceTable(race, PLAIN));
    return [judgeAgainst(NAME, OVER_PLAIN, race, PLAIN, (sample) => sample.rate)];
  },
};
