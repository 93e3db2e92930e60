import type { AdminCheck } from '../../../http/admin-token.ts';
import { type Exchange, sendJson } from '../../../http/request-context.ts';
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
  const send = (exchange: Exchange): void => sendJson(exchange, 200, JSON.stringify(tracer.show(exchange.params.name)));

  async function show(exchange: Exchange): Promise<void> {
    if (exchange.params.name !== undefined) await modelAt(repository, exchange);
    send(exchange);
  }

  async function change(exchange: Exchange): Promise<void> {
    checkAdmin(exchange.req);
    const body = await readShortBody(exchange);
    // The body first: it is read in the request's own turn.
    if (exchange.params.name !== undefined) await modelAt(repository, exchange);
    tracer.change(exchange.params.name, body);
    send(exchange);
  }

  return ['/v2', '/v2/models/{name}'].flatMap((path): Route[] => [
    { method: 'GET', path: `${path}/trace/setting`, handle: show },
    { method: 'POST', path: `${path}/trace/setting`, handle: change },
  ]);
}
