import { raceServers, raceTable } from '../race.ts';
import type { Bar } from '../summary.ts';
import { FRAMEWORK, judgeAgainst, PLAIN, present, type Workload } from '../workload.ts';

const NAME = 'iris-alone';
const P50: Bar = { want: 'at most', limit: 1.3, unit: 'x', of: `p50 / ${PLAIN}` };

export const irisAlone: Workload = {
  name: NAME,
  title: 'iris, one row a request, 1 connection',
  bars: [P50],
  async run(bench) {
    const model = bench.inputs.models.iris;
    const servers = present([
      bench.product(model),
      bench.baseline(PLAIN, 'plain-http', model),
      bench.baseline(FRAMEWORK, 'framework', model),
    ]);
    const race = await raceServers(servers, model, { connections: 1, seconds: bench.quick ? 1 : 3 }, bench.rounds);
    console.log(raceTable(race, PLAIN));
    return [judgeAgainst(NAME, P50, race, PLAIN, (sample) => sample.p50)];
  },
};
