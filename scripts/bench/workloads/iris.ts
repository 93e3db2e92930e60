import { raceServers, raceTable } from '../race.ts';
import type { Bar } from '../summary.ts';
import { CONSTANT, FRAMEWORK, judgeAgainst, PLAIN, present, type Workload } from '../workload.ts';

const NAME = 'iris';
const OVER_PLAIN: Bar = { want: 'at least', limit: 2.5, unit: 'x', of: `rate / ${PLAIN}` };
const OVER_CONSTANT: Bar = { want: 'at least', limit: 1, unit: 'x', of: `rate / ${CONSTANT}` };
const P99: Bar = { want: 'at most', limit: 1, unit: 'x', of: `p99 / ${PLAIN}` };

export const iris: Workload = {
  name: NAME,
  title: 'iris, one row a request, 32 connections',
  bars: [OVER_PLAIN, OVER_CONSTANT, P99],
  async run(bench) {
    const model = bench.inputs.models.iris;
    const servers = present([
      bench.product(model),
      bench.baseline(PLAIN, 'plain-http', model),
      bench.baseline(CONSTANT, 'constant', model),
      bench.baseline('constant, body unread', 'constant', model, ['--unread']),
      bench.baseline(FRAMEWORK, 'framework', model),
    ]);
    const race = await raceServers(servers, model, { connections: 32, seconds: bench.quick ? 1 : 4 }, bench.rounds);
    console.log(raceTable(race, PLAIN));
    return [
      judgeAgainst(NAME, OVER_PLAIN, race, PLAIN, (sample) => sample.rate),
      judgeAgainst(NAME, OVER_CONSTANT, race, CONSTANT, (sample) => sample.rate),
      judgeAgainst(NAME, P99, race, PLAIN, (sample) => sample.p99),
    ];
  },
};
