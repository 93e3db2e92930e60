import { join } from 'node:path';
import { atLeast, atMost, type Chaos, type Fault } from '../fault.ts';
import { countStatuses, goodput, isFailed, isRefused, isServed, isWrong, refusalMicroseconds } from '../figures.ts';
import { closedLoop, runFor } from '../load.ts';
import { IRIS, IRIS_ROW, sameWork } from '../models.ts';
import { measurePeak } from '../peak.ts';
import type { Target } from '../target.ts';

const PEAK_CONNECTIONS = 64;
/** A queue that the connections overfill: all but some are refused. */
const SHORT_QUEUE = '256';
const MAKE = sameWork('/predict', IRIS_ROW);

type Retry = 'at once' | 'by Retry-After';

export const manyConnections: Fault = {
  name: 'many-connections',
  title: 'a thousand and more connections in a closed loop',
  async run(chaos) {
    const env = { MODEL_URI: join(chaos.models, IRIS) };
    const patient = await chaos.start({ env });
    const refusing = await chaos.start({ env: { ...env, MAX_QUEUE_SIZE: SHORT_QUEUE } });
    for (const connections of chaos.quick ? [1000] : [1000, 2000, 4000]) {
      await measure(chaos, patient, connections, 'at once');
      await measure(chaos, refusing, connections, 'at once');
      await measure(chaos, refusing, connections, 'by Retry-After');
    }
  },
};

async function measure(chaos: Chaos, target: Target, connections: number, retry: Retry): Promise<void> {
  const { port } = target;
  const seconds = chaos.scale(10, 2.5);
  let cpu = target.cpu();
  const peak = await measurePeak(port, MAKE, PEAK_CONNECTIONS, seconds);
  const secondsPerServed = (target.cpu() - cpu) / peak.samples.length;
  cpu = target.cpu();
  const samples = await runFor(closedLoop({ port, connections, make: MAKE, retry }), seconds + 1);
  const cpuSeconds = target.cpu() - cpu;
  const refused = samples.filter(isRefused).length;
  const who = `${connections} connections${refused > 0 ? `, retry ${retry}` : ''}`;
  const bad = samples.filter((sample) => isWrong(sample) || isFailed(sample));
  chaos.holds(`${who}: each request is served or refused`, bad.length === 0, countStatuses(samples));
  chaos.compares(
    `${who}: goodput / peak >= 0.7`,
    goodput(samples, 1000, (seconds + 1) * 1000) / peak.rate,
    atLeast(0.7),
  );
  // Few refusals, in the first second alone, cost as much as the connections.
  if (retry !== 'at once' || refused < connections) return;
  const served = samples.filter(isServed).length;
  const cost = refusalMicroseconds({ cpuSeconds, served, secondsPerServed, refused });
  chaos.compares(`${who}: CPU of a refusal <= 20 us`, cost, atMost(20), 'us');
}
