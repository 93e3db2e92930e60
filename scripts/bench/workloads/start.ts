import { startContestant } from '../contestant.ts';
import { type Bar, judge, ratios, spread, unmeasured, type Verdict } from '../summary.ts';
import { figure, table } from '../table.ts';
import { FRAMEWORK, NOT_BUILT, PLAIN, PRODUCT, present, type Workload } from '../workload.ts';

const NAME = 'start';
const OVER_PLAIN: Bar = { want: 'at most', limit: 1.25, unit: 'x', of: `time / ${PLAIN}` };
const OVER_FRAMEWORK: Bar = { want: 'at most', limit: 1, unit: 'x', of: `time / ${FRAMEWORK}` };

export const start: Workload = {
  name: NAME,
  title: 'from exec to the first answered prediction, iris',
  bars: [OVER_PLAIN, OVER_FRAMEWORK],
  async run(bench) {
    const model = bench.inputs.models.iris;
    const specs = present([
      bench.product(model),
      bench.baseline(PLAIN, 'plain-http', model),
      bench.baseline(FRAMEWORK, 'framework', model),
    ]);
    const times = new Map<string, number[]>(specs.map(({ name }) => [name, []]));
    const starts = bench.quick ? 3 : Math.max(5, bench.rounds);
    // The first start of each reads its files from the disk; the ones that count find them in memory.
    for (let i = -1; i < starts; i += 1) {
      for (const spec of specs) {
        const contestant = await startContestant(spec, model.request);
        if (i >= 0) times.get(spec.name)!.push(contestant.startMs);
        await contestant.stop();
      }
    }
    const rows = [...times].map(([name, ms]) => {
      const { median, min, max } = spread(ms);
      return [name, figure(median), figure(min), figure(max)];
    });
    console.log(table(['contestant', 'median ms', 'least', 'most'], rows));

    function against(bar: Bar, base: string): Verdict {
      const [own, others] = [times.get(PRODUCT), times.get(base)!];
      return own === undefined ? unmeasured(NAME, bar, NOT_BUILT) : judge(NAME, bar, ratios(own, others));
    }
    return [against(OVER_PLAIN, PLAIN), against(OVER_FRAMEWORK, FRAMEWORK)];
  },
};
