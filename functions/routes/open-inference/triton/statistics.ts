import { mayUse } from '../../../access/caller.ts';
import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';
import type { Repository } from '../../../model/repository/repository.ts';
import type { Metrics } from '../../../telemetry/metrics/metrics.ts';
import type { Duration, ModelStatistics } from '../../../telemetry/metrics/model-statistics.ts';
import { canonicalVersion } from '../../model-address.ts';
import { MODEL_PATHS, modelAt } from '../addressing.ts';

/** What the statistics routes need. */
interface StatisticsOptions {
  readonly repository: Repository;
  readonly metrics: Pick<Metrics, 'statistics'>;
}

/**
 * Routes that show measurements of the models since the process started (Triton, statistics extension), over all dialects. The
 * time before a request was queued, and refused requests, are not included: /metrics has them.
 */
export function createStatisticsRoutes({ repository, metrics }: StatisticsOptions): Route[] {
  function all(context: RequestContext): void {
    const pages = metrics.statistics.all().filter(({ name }) => mayUse(context.caller, name, repository.isMain));
    send(context, pages);
  }

  async function ofModel(context: RequestContext): Promise<void> {
    const model = await modelAt(repository, context);
    const { version } = context.params;
    const { name } = model.status();
    const pages = metrics.statistics.all().filter((page) => page.name === name);
    const wanted = version === undefined ? undefined : canonicalVersion(version);
    send(context, wanted === undefined ? pages : pages.filter((page) => canonicalVersion(page.version) === wanted));
  }

  return [
    { method: 'GET', path: '/v2/models/stats', handle: all },
    ...MODEL_PATHS.map((model): Route => ({ method: 'GET', path: `${model}/stats`, handle: ofModel })),
  ];
}

function send(context: RequestContext, pages: readonly ModelStatistics[]): void {
  sendJson(context, 200, JSON.stringify({ model_stats: pages.map(describe) }));
}

/**
 * `compute_infer` is the time of a run, to the engine process and back. Inputs and outputs are not timed separately, and there is
 * no cache: those counts are 0.
 */
function describe({ name, version, lastRun, rows, ok, failed, waits, runs }: ModelStatistics): object {
  const sizes = [...runs].sort(([a], [b]) => a - b);
  const total = { count: 0, seconds: 0 };
  for (const [, { count, seconds }] of sizes) {
    total.count += count;
    total.seconds += seconds;
  }
  return {
    name,
    version,
    last_inference: lastRun,
    inference_count: rows,
    execution_count: total.count,
    inference_stats: {
      success: duration(ok),
      fail: duration(failed),
      queue: duration(waits),
      compute_input: NONE,
      compute_infer: duration(total),
      compute_output: NONE,
      cache_hit: NONE,
      cache_miss: NONE,
    },
    batch_stats: sizes.map(([size, run]) => ({
      batch_size: size,
      compute_input: NONE,
      compute_infer: duration(run),
      compute_output: NONE,
    })),
  };
}

const NONE = { count: 0, ns: 0 };
const duration = ({ count, seconds }: Duration): object => ({ count, ns: Math.round(seconds * 1e9) });
