import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { ConnectionOptions, SecureContextOptions } from 'node:tls';
import { createHttpServer } from '../../functions/http/connection/http-server.ts';
import { createRouter, type Route, type RouterOptions } from '../../functions/http/router.ts';
import { connect, type RawConnection } from './raw-http.ts';
import { type RecordingTelemetry, recordTelemetry } from './telemetry.ts';

interface HttpServerRig extends RecordingTelemetry {
  readonly http: ReturnType<typeof createHttpServer>;
  readonly port: number;
  /** Opens a connection, over TLS if the server has it. */
  connect(tls?: ConnectionOptions): RawConnection;
  /** The value of `http_connections_closed_total`. */
  closedFor(reason: string): Promise<number>;
}

interface HttpServerRigOptions extends Partial<RouterOptions> {
  /** `ca` is also the authority by which clients check the server. */
  readonly tls?: SecureContextOptions & { readonly authority: string };
  readonly maxConnections?: number;
  readonly maxBodyBytes?: number;
}

/** The container's HTTP server with these routes, in this process, on a free port of loopback, for as long as the test. */
export async function serveHttp(
  t: TestContext,
  routes: readonly Route[],
  { tls, maxConnections = 1000, maxBodyBytes = 1_000_000, ...options }: HttpServerRigOptions = {},
): Promise<HttpServerRig> {
  const telemetry = recordTelemetry();
  const defaults = { requestTimeoutMs: 10_000, logRequests: 'failed', draining: () => false } as const;
  const handler = createRouter(routes, { ...defaults, ...telemetry, ...options });
  const http = createHttpServer({ handler, maxBodyBytes, maxConnections, tls, ...telemetry });
  await once(http.server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    http.close();
    telemetry.metrics.close();
  });
  const { port } = http.server.address() as AddressInfo;
  return {
    ...telemetry,
    http,
    port,
    connect: (more) => connect({ port }, tls && { ca: tls.authority, ...more }),
    async closedFor(reason) {
      const { text } = await telemetry.metrics.render();
      return Number(new RegExp(`http_connections_closed_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1]);
    },
  };
}
