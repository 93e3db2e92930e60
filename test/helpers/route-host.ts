import type { TestContext } from 'node:test';
import { createRouter, type Route } from '../../functions/http/router.ts';
import { serve } from './serve.ts';
import { type RecordingTelemetry, recordTelemetry } from './telemetry.ts';

/** A server with these routes and nothing else, which anybody may use, on a free port of loopback, for as long as the test. */
export async function serveOnly(
  t: TestContext,
  routes: readonly Route[],
  telemetry: RecordingTelemetry = recordTelemetry(),
): Promise<RecordingTelemetry & { port: number; url: string }> {
  const options = { requestTimeoutMs: 10_000, logRequests: 'failed', draining: () => false, authorize() {} } as const;
  t.after(() => telemetry.metrics.close());
  return { ...telemetry, ...(await serve(t, createRouter(routes, { ...options, ...telemetry }))) };
}
