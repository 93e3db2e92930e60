import type { AdminCheck } from '../../../http/admin-token.ts';
import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';
import type { Repository } from '../../../model/repository/repository.ts';
import { modelAt } from '../addressing.ts';
import { readShortBody } from '../short-body.ts';
import type { Tracer } from './tracer.ts';

export interface TraceSettingsOptions {
  readonly repository: Repository;
  readonly checkAdmin: AdminCheck;
  readonly tracer: Tracer;
}

/**
 * `GET` and `POST` of `/v2[/models/{name}]/trace/setting`: how infer requests are traced, and, for whoever has the admin token, a
 * change of it until the process ends (Triton, trace extension).
 */
export function createTraceSettingsRoutes({ repository, checkAdmin, tracer }: TraceSettingsOptions): Route[] {
  const send = (context: RequestContext): void =>
    sendJson(context, 200, JSON.stringify(tracer.show(context.params.name)));

  async function show(context: RequestContext): Promise<void> {
    if (context.params.name !== undefined) await modelAt(repository, context);
    send(context);
  }

  async function change(context: RequestContext): Promise<void> {
    checkAdmin(context.req);
    const body = await readShortBody(context);
    // The body first: it is read in the request's own turn.
    if (context.params.name !== undefined) await modelAt(repository, context);
    tracer.change(context.params.name, body);
    send(context);
  }

  return ['/v2', '/v2/models/{name}'].flatMap((path): Route[] => [
    { method: 'GET', path: `${path}/trace/setting`, handle: show },
    { method: 'POST', path: `${path}/trace/setting`, handle: change },
  ]);
}
