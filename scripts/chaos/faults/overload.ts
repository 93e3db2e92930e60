import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartAttack } from '../attack.ts';
import { type MakeWork, openLoop } from '../clients/load.ts';
import { measurePeak } from '../clients/peak.ts';
import { atLeast, atMost, type Chaos, type Fault } from '../fault.ts';
import { countStatuses, goodput, isFailed, isRefused, isWrong, quantile, type Sample } from '../figures.ts';
import { CONVOLUTION, convolutionRow, sameWork } from '../models.ts';

const DEADLINE_MS = 2000;
/** The deadline in runs, of a machine that is so slow that this is longer. */
const DEADLINE_RUNS = 20;
const TIMES = 10;
const CONNECTIONS = 4;
/** Load of new clients after the overload, as a share of the peak. */
const CALM_SHARE = 0.2;
/** The share of refused clients that come back: each that may is sampled with this chance. */
const RETURNING_SHARE = 0.5;

const workOf = (path: string, deadlineMs: number): MakeWork =>
  sameWork(path, convolutionRow(), [`X-Request-Timeout-Ms: ${Math.ceil(deadlineMs)}`]);

/** What an overload showed. */
interface Seen {
  /** Right responses a second without an overload. */
  readonly peak: number;
  readonly deadlineMs: number;
  readonly seconds: number;
  readonly samples: readonly Sample[];
  /** Requests after the overload. */
  readonly calm: readonly Sample[];
  /** Refused clients that came back from a second after the overload on, and those of them that were served. */
  readonly returned: { come: number; accepted: number };
}

export const overload: Fault = {
  name: 'overload',
  title: 'ten times as many requests as can be served, open loop',
  async run(chaos) {
    const { port } = await chaos.start({ env: { MODEL_URI: join(chaos.models, CONVOLUTION) } });
    const [seconds, after] = [chaos.scale(30, 4), chaos.scale(30, 5)];
    const { rate: peak, runMs } = await measurePeak(port, workOf('/predict', 60_000), CONNECTIONS, chaos.scale(10, 3));
    const deadlineMs = chaos.quick ? Math.max(DEADLINE_MS, DEADLINE_RUNS * runMs) : DEADLINE_MS;
    const make = workOf('/predict', deadlineMs);
    const returned = { come: 0, accepted: 0 };
    const load = openLoop({
      port,
      perSecond: peak * TIMES,
      random: chaos.random,
      make,
      onReply(sample, again, now) {
        const at = now + sample.retryAfter * 1000;
        // Those that come back during the overload meet nine new clients each, from which the server cannot tell them apart.
        const isAfter = isRefused(sample) && at > (seconds + 1) * 1000 && at < (seconds + after) * 1000;
        if (!isAfter || !chaos.random.chance(RETURNING_SHARE)) return;
        returned.come++;
        setTimeout(async () => {
          if ((await again()).status === 200) returned.accepted++;
        }, sample.retryAfter * 1000);
      },
    });
    await sleep(seconds * 1000);
    const stopped = load.stop();
    const calm = openLoop({ port, random: chaos.random, make, perSecond: peak * CALM_SHARE });
    await sleep(after * 1000);
    report(chaos, { peak, deadlineMs, seconds, samples: await stopped, calm: await calm.stop(), returned });
  },
};

function report(chaos: Chaos, { peak, deadlineMs, seconds, samples, calm, returned }: Seen): void {
  const refused = samples.filter(isRefused);
  const bad = samples.filter((sample) => isWrong(sample) || (isFailed(sample) && sample.status !== 504));
  chaos.holds('each request is served, refused or too late', bad.length === 0, countStatuses(samples));
  const named = refused.filter(({ retryAfter }) => Number.isInteger(retryAfter) && retryAfter >= 1);
  chaos.holds(
    'each refusal has a Retry-After',
    named.length === refused.length,
    `${named.length} of ${refused.length}`,
  );
  chaos.compares('goodput / peak >= 0.9', goodput(samples, 0, seconds * 1000) / peak, atLeast(0.9));
  const latencies = samples
    .filter((sample) => !isRefused(sample))
    .map(({ status, ms }) => (status === 200 ? ms : 2 * deadlineMs));
  chaos.compares('p99 of accepted / deadline <= 1', quantile(latencies, 0.99) / deadlineMs, atMost(1));
  if (returned.come === 0)
    chaos.skips('refused ones that come back are served', 'no Retry-After ended after the overload');
  else
    chaos.compares(
      `of ${returned.come} refused that come back, served >= 0.9`,
      returned.accepted / returned.come,
      atLeast(0.9),
    );
  const last = Math.max(0, ...calm.filter((sample) => sample.status !== 200).map(({ at }) => at));
  chaos.compares('last refusal after the overload <= 1 s', last / 1000, atMost(1), 's');
}

/** Ten times as many requests of the convolution net as two engines serve on any machine that is likely. */
export const attackByOverload: StartAttack = ({ port }, random) => {
  const load = openLoop({ port, random, make: workOf(`/models/${CONVOLUTION}/predict`, DEADLINE_MS), perSecond: 300 });
  return {
    async stop() {
      await load.stop();
    },
  };
};
