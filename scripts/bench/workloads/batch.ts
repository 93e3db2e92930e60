import { runClient } from '../client.ts';
import { startContestant } from '../contestant.ts';
import { canMeasureMemory, treePss } from '../memory.ts';
import type { StreamResult } from '../stream.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { NOT_BUILT, type Workload } from '../workload.ts';
import { alone, restingPss } from './memory.ts';

const NAME = 'batch';
const RATE: Bar = { want: 'at least', limit: 100_000, unit: 'rows/s', of: 'rows answered' };
const ABOVE_IDLE: Bar = { want: 'at most', limit: 60, unit: 'MB', of: 'largest PSS above idle' };

const LOOK_EVERY_MS = 250;

export const batch: Workload = {
  name: NAME,
  title: '/batch_predict of 1 000 000 iris rows as NDJSON, streamed',
  bars: [RATE, ABOVE_IDLE],
  async run(bench) {
    const model = bench.inputs.models.iris;
    const spec = bench.product(model);
    if (spec === undefined) return this.bars.map((bar) => unmeasured(NAME, bar, NOT_BUILT));
    const rows = bench.quick ? 200_000 : 1_000_000;
    const server = await startContestant(alone(bench, spec), model.request);
    const [rates, above, lines]: [number[], number[], string[][]] = [[], [], []];
    try {
      const idle = canMeasureMemory ? await restingPss(server.pid) : 0;
      for (let round = 0; round < bench.rounds; round += 1) {
        let largest = idle;
        const looking = setInterval(() => {
          if (canMeasureMemory) largest = Math.max(largest, treePss(server.pid));
        }, LOOK_EVERY_MS);
        const result = await runClient<StreamResult>('stream', { port: server.port, rows, batch: 64 });
        clearInterval(looking);
        rates.push(result.whole ? result.rate : 0);
        above.push(largest - idle);
        const note = result.whole ? 'whole' : `${result.error}: ${result.status} ${result.lastLine.slice(0, 80)}`;
        lines.push([String(round + 1), figure(result.rate), figure(idle), figure(largest), note]);
      }
    } finally {
      await server.stop();
    }
    console.log(table(['round', 'rows /s', 'idle MB', 'largest MB', 'response'], lines));
    return [
      judge(NAME, RATE, spread(rates)),
      canMeasureMemory ? judge(NAME, ABOVE_IDLE, spread(above)) : unmeasured(NAME, ABOVE_IDLE, 'needs /proc of Linux'),
    ];
  },
};
