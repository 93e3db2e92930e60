import { once } from 'node:events';
import { createServer, IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { DirectMessage } from '../../functions/http/body/direct-message.ts';
import { type RequestContext, sendJson } from '../../functions/http/request-context.ts';
import { type BodilessRoute, createRouter, type Route, type RouterOptions } from '../../functions/http/router.ts';
import { type RecordingTelemetry, recordTelemetry } from './telemetry.ts';

/** An HTTP server on a free port of loopback, for as long as the test. */
export async function serve(
  t: TestContext,
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  message: typeof IncomingMessage = IncomingMessage,
): Promise<{ port: number; url: string }> {
  const server = createServer({ IncomingMessage: message }, handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}` };
}

type Handle = BodilessRoute['handle'];

/** Answers 200 with the query. */
export function answerQuery(context: RequestContext): void {
  sendJson(context, 200, JSON.stringify({ query: context.query }));
}

/** A server with the routes `GET /read`, a probe, and `POST /write`, both with one handler. */
export async function serveRoutes(
  t: TestContext,
  handle: Handle = answerQuery,
  options: Partial<RouterOptions> = {},
  write: Partial<Pick<Route, 'body' | 'admin' | 'admit'>> & { readonly handle?: Handle } = {},
): Promise<RecordingTelemetry & { port: number; url: string }> {
  const telemetry = recordTelemetry();
  const routes: Route[] = [
    { method: 'GET', path: '/read', probe: true, handle },
    { method: 'POST', path: '/write', handle, ...write } as Route,
  ];
  const defaults = { requestTimeoutMs: 10_000, logRequests: 'failed', draining: () => false } as const;
  const handler = createRouter(routes, { ...defaults, ...telemetry, ...options });
  t.after(() => telemetry.metrics.close());
  return { ...telemetry, ...(await serve(t, handler, DirectMessage)) };
}
