import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';
import type { Repository } from '../../../model/repository/repository.ts';
import { modelAt } from '../addressing.ts';
import { readShortBody, SHORT_BODY } from '../short-body.ts';
import type { Tracer } from './tracer.ts';

/** What the trace settings routes need. */
interface TraceSettingsOptions {
  readonly repository: Repository;
  readonly tracer: Tracer;
}

/**
 * `GET /v2[/models/{name}]/trace/setting` shows how infer requests are traced; `POST`, which needs the admin token, changes it
 * until the process ends (Triton, trace extension).
 */
export function createTraceSettingsRoutes({ repository, tracer }: TraceSettingsOptions): Route[] {
  const send = (context: RequestContext): void =>
    sendJson(context, 200, JSON.stringify(tracer.show(context.params.name)));

  async function show(context: RequestContext): Promise<void> {
    if (context.params.name !== undefined) await modelAt(repository, context);
    send(context);
  }

  async function change(context: RequestContext, body: Buffer): Promise<void> {
    const settings = readShortBody(body);
    if (context.params.name !== undefined) await modelAt(repository, context);
    tracer.change(context.params.name, settings);
    send(context);
  }

  return ['/v2', '/v2/models/{name}'].flatMap((path): Route[] => [
    { method: 'GET', path: `${path}/trace/setting`, internal: true, handle: show },
    { method: 'POST', path: `${path}/trace/setting`, admin: true, body: SHORT_BODY, handle: change },
  ]);
}
