import { runClient } from '../client.ts';
import { startContestant } from '../contestant.ts';
import type { DrainResult } from '../drain.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { FRAMEWORK, NOT_BUILT, PLAIN, PRODUCT, present, type Workload } from '../workload.ts';

const NAME = 'shutdown';
const FAILED: Bar = { want: 'at most', limit: 0, unit: '', of: 'accepted requests that failed, all rounds' };

export const shutdown: Workload = {
  name: NAME,
  title: 'SIGTERM under load, iris, 32 connections',
  bars: [FAILED],
  async run(bench) {
    const model = bench.inputs.models.iris;
    const specs = present([
      bench.product(model),
      bench.baseline(PLAIN, 'plain-http', model),
      bench.baseline(FRAMEWORK, 'framework', model),
    ]);
    const rows: string[][] = [];
    let productFailed: number | undefined;
    for (let round = 0; round < bench.rounds; round += 1) {
      for (const spec of specs) {
        const server = await startContestant(spec, model.request);
        const args = { port: server.port, pid: server.pid, body: model.body, connections: 32, seconds: 1 };
        const result = await runClient<DrainResult>('drain', args);
        const end = await server.ended();
        if (spec.name === PRODUCT) productFailed = (productFailed ?? 0) + result.failed;
        const { accepted, after, refused, raced, failed, failures, closedMs } = result;
        const counts = [accepted, after, refused, raced, failed].map(String);
        const why = Object.entries(failures).map(([kind, count]) => `${count} ${kind}`);
        rows.push([spec.name, ...counts, figure(closedMs), String(end.signal ?? end.code), why.join(', ')]);
      }
    }
    const head = ['contestant', 'accepted', 'answered', '503', 'raced', 'failed', 'closed ms', 'exit', 'failures'];
    console.log(table(head, rows));
    if (productFailed === undefined) return [unmeasured(NAME, FAILED, NOT_BUILT)];
    return [judge(NAME, FAILED, spread([productFailed]))];
  },
};
