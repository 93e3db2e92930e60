import { constants } from 'node:zlib';
import { type IsMain, mayUseMain } from '../../access/caller.ts';
import { ServingError } from '../../errors.ts';
import { cacheText, sendCached } from '../../http/cached-response.ts';
import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { BodilessRoute, Route } from '../../http/router.ts';
import type { Model } from '../../model/serving/model.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import { shareRendering } from '../../telemetry/metrics/shared-rendering.ts';
import { requireReady } from '../model-address.ts';
import { showStatus } from './models.ts';

/** What the probes report. */
interface ProbeOptions {
  /** The model behind `/predict`. */
  readonly model: Model;
  /** @see Repository.isMain */
  readonly isMain: IsMain;
  readonly metrics: Metrics;
  /** Whether the server drains: it is not ready then. */
  readonly draining: () => boolean;
}

/** `GET /health` (liveness), `GET /ready` (readiness) and `GET /metrics`. */
export function createProbeRoutes({ model, isMain, metrics, draining }: ProbeOptions): Route[] {
  function health(context: RequestContext): void {
    const body = {
      status: draining() ? 'draining' : 'ok',
      model: mayUseMain(context.caller, isMain) ? showStatus(model.status()) : undefined,
      uptime: process.uptime(),
    };
    sendJson(context, 200, JSON.stringify(body));
  }

  // Scrapes that share a rendering share its compressed text too.
  const render = shareRendering(async () => {
    const { contentType, text } = await metrics.render();
    return cacheText(contentType, text, constants.Z_BEST_SPEED);
  });

  async function scrape(context: RequestContext): Promise<void> {
    const text = await render();
    if (context.cancellation.cancelled) return;
    await sendCached(context, text, ['gzip', 'deflate']);
  }

  return [
    { method: 'GET', path: '/health', probe: true, open: true, handle: health },
    { method: 'GET', path: '/ready', probe: true, open: true, handle: createReadiness({ model, isMain, draining }) },
    { method: 'GET', path: '/metrics', probe: true, internal: true, metrics: true, handle: scrape },
  ];
}

/** Makes the handler of a readiness probe. It also starts a lazy load, without waiting for it: the probe is repeated. */
export function createReadiness({
  model,
  isMain,
  draining,
}: Pick<ProbeOptions, 'model' | 'isMain' | 'draining'>): BodilessRoute['handle'] {
  return (context) => {
    if (draining()) throw new ServingError('DRAINING', 'the server is shutting down', { retryAfter: 1 });
    model.load();
    const isShown = mayUseMain(context.caller, isMain);
    const { name, version } = requireReady(model, isShown);
    sendJson(context, 200, JSON.stringify({ status: 'ready', model: isShown ? { name, version } : undefined }));
  };
}
