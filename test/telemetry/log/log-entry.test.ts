import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelOfStatus, makeEntry, makeRequestEntry } from '../../../functions/telemetry/log/log-entry.ts';

const TRACE = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true };

test('an entry carries the severity, message and time that Cloud Logging reads, and the fields given', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_123 });
  const entry = makeEntry('warning', 'slow', { model: 'iris', seconds: 2 }, undefined);
  assert.equal(entry.severity, 'WARNING');
  assert.equal(entry.message, 'slow');
  assert.equal(entry.time, '2023-11-14T22:13:20.123Z');
  assert.equal(entry.model, 'iris');
  assert.equal(entry.seconds, 2);
});

test('a trace is a resource name where the project is known, else its id', () => {
  const known = makeEntry('info', '', { trace: TRACE }, 'my-project');
  assert.equal(known['logging.googleapis.com/trace'], `projects/my-project/traces/${TRACE.traceId}`);
  assert.equal(known['logging.googleapis.com/spanId'], TRACE.spanId);
  assert.equal(known['logging.googleapis.com/trace_sampled'], true);
  const unknown = makeEntry('info', '', { trace: () => ({ ...TRACE, spanId: undefined }) }, undefined);
  assert.equal(unknown['logging.googleapis.com/trace'], TRACE.traceId);
  assert.ok(!('logging.googleapis.com/spanId' in unknown));
  assert.ok(!('trace' in unknown));
});

test('a request is an httpRequest whose url has no query and whose latency is a duration in seconds', () => {
  const entry = makeRequestEntry(
    {
      method: 'POST',
      path: '/predict?key=secret',
      status: 200,
      seconds: 0.123456789,
      userAgent: 'curl',
      requestBytes: 12,
      responseBytes: 34,
      model: 'iris',
    },
    undefined,
  );
  assert.deepEqual(entry.httpRequest, {
    requestMethod: 'POST',
    requestUrl: '/predict',
    status: 200,
    latency: '0.123456789s',
    userAgent: 'curl',
    requestSize: '12',
    responseSize: '34',
  });
  assert.equal(entry.model, 'iris');
  assert.doesNotMatch(JSON.stringify(entry), /secret/);
});

test('an overlong path and user agent are cut', () => {
  const entry = makeRequestEntry(
    { method: 'GET', path: `/${'x'.repeat(9999)}`, status: 404, seconds: 0, userAgent: 'y'.repeat(9999) },
    undefined,
  );
  assert.equal(entry.httpRequest?.requestUrl.length, 2048);
  assert.equal(entry.httpRequest?.userAgent?.length, 512);
  assert.ok(entry.message.length < 2100);
});

for (const [status, level] of [
  [200, 'info'],
  [304, 'info'],
  [400, 'warning'],
  [429, 'warning'],
  [500, 'error'],
  [503, 'warning'],
  [504, 'error'],
] as const) {
  test(`a ${status} is logged as ${level}`, () => assert.equal(levelOfStatus(status), level));
}
