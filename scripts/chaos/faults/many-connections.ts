import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { createClient } from '../clients/client.ts';
import { closedLoop, type MakeWork, runFor } from '../clients/load.ts';
import { measurePeak } from '../clients/peak.ts';
import { atLeast, atMost, type Chaos, type Fault } from '../fault.ts';
import { countStatuses, goodput, isFailed, isWrong, microsecondsEach } from '../figures.ts';
import { ENDLESS_ROW, IRIS, IRIS_ROW, SLOW, sameWork } from '../models.ts';
import type { Target } from '../target.ts';

const PEAK_CONNECTIONS = 64;
/** A queue that the connections overfill: all but some are refused. */
const SHORT_QUEUE = '256';
/** Rows that do not end: one for each engine, and one for the queue. */
const ENDLESS = 3;
const PAUSE_MS = 200;
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
      await measure(chaos, patient, connections, 'at once', `${connections} connections`);
      for (const retry of ['at once', 'by Retry-After'] as const) {
        await measure(chaos, refusing, connections, retry, `${connections} connections, a short queue, retry ${retry}`);
      }
    }
    await measureRefusals(chaos);
  },
};

async function measure(chaos: Chaos, { port }: Target, connections: number, retry: Retry, who: string): Promise<void> {
  const seconds = chaos.scale(10, 1.5);
  const peak = await measurePeak(port, MAKE, PEAK_CONNECTIONS, seconds);
  const samples = await runFor(closedLoop({ port, connections, make: MAKE, retry }), seconds + 1);
  const bad = samples.filter((sample) => isWrong(sample) || isFailed(sample));
  chaos.holds(`${who}: each request is served or refused`, bad.length === 0, countStatuses(samples));
  const rate = goodput(samples, 1000, (seconds + 1) * 1000) / peak.rate;
  chaos.compares(`${who}: goodput / peak >= 0.7`, rate, atLeast(0.7));
}

/**
 * Rows that do not end occupy both engines and the queue, so that the server does nothing but refuse. The engines are stopped
 * meanwhile: they would share the CPUs' caches with the server.
 */
async function measureRefusals(chaos: Chaos): Promise<void> {
  const target = await chaos.start({ env: { MODEL_URI: join(chaos.models, SLOW), MAX_QUEUE_SIZE: '1' } });
  const owners = Array.from({ length: ENDLESS }, () => createClient(target.port));
  for (const owner of owners) {
    void owner.send(requestBytes('POST', '/predict', ENDLESS_ROW));
    // Each in a run of its own.
    await sleep(PAUSE_MS);
  }
  for (const engine of target.engines()) process.kill(engine, 'SIGSTOP');
  const seconds = chaos.scale(10, 1.5);
  const measureCost = async (work: MakeWork): Promise<number> => {
    const load = closedLoop({ port: target.port, connections: PEAK_CONNECTIONS, make: work });
    await sleep(1000);
    const [cpu, count] = [target.cpu(), load.samples.length];
    await sleep(seconds * 1000);
    const cost = microsecondsEach(target.cpu() - cpu, load.samples.length - count);
    await load.stop();
    return cost;
  };
  const get = await measureCost(() => ({ request: requestBytes('GET', '/health/live'), isRight: () => true }));
  const refusal = await measureCost(sameWork('/predict', '{"features":[1]}'));
  for (const owner of owners) owner.destroy();
  chaos.compares(`CPU of a refusal <= 20 us (GET /health/live: ${get.toFixed(0)} us)`, refusal, atMost(20), 'us');
}
