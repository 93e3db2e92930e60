import { join } from 'node:path';
import { runClient } from '../../bench/client.ts';
import type { StreamResult } from '../../bench/stream.ts';
import type { StartAttack } from '../attack.ts';
import { type Load, openLoop, runFor } from '../clients/load.ts';
import { atMost, type Fault } from '../fault.ts';
import { countStatuses, isServed, quantile, type Sample } from '../figures.ts';
import { IRIS, IRIS_ROW, sameWork } from '../models.ts';

const PER_SECOND = 50;

export const streamBesideSingles: Fault = {
  name: 'stream-beside-singles',
  title: 'a stream of many rows beside single requests',
  async run(chaos) {
    const target = await chaos.start({ env: { MODEL_URI: join(chaos.models, IRIS) } });
    const { port } = target;
    const make = sameWork('/predict', IRIS_ROW);
    const singles = (): Load => openLoop({ port, perSecond: PER_SECOND, random: chaos.random, make });
    const alone = p99(await runFor(singles(), chaos.scale(10, 4)));
    const load = singles();
    const rows = chaos.scale(1_000_000, 100_000);
    const stream = await runClient<StreamResult>('stream', { port, rows });
    const samples = await load.stop();
    const runs = await target.metric('prediction_run_seconds_count');
    const runMs = ((await target.metric('prediction_run_seconds_sum')) * 1000) / runs;
    chaos.holds(`each of ${rows} rows has a result`, stream.whole, stream.error ?? `${stream.rate.toFixed(0)} rows/s`);
    chaos.holds('each single request is served', samples.every(isServed), countStatuses(samples));
    chaos.compares('(p99 of singles - two runs) / alone <= 1.5', (p99(samples) - 2 * runMs) / alone, atMost(1.5));
  },
};

const p99 = (samples: readonly Sample[]): number =>
  quantile(
    samples.map(({ ms }) => ms),
    0.99,
  );

/** Streams of 20,000 rows, one after the other. */
export const attackByStreams: StartAttack = ({ port }) => {
  let isOver = false;
  async function run(): Promise<void> {
    while (!isOver) await runClient<StreamResult>('stream', { port, rows: 20_000, bound: 10 });
  }
  const running = run();
  return {
    async stop() {
      isOver = true;
      await running;
    },
  };
};
