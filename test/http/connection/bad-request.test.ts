import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createBadRequestListener } from '../../../functions/http/connection/bad-request.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const failure = (code: string): Error => Object.assign(new Error(code), { code });

/** A listener, and what it writes to a connection on which nothing is under way. */
function start() {
  const telemetry = recordTelemetry();
  const listener = createBadRequestListener({ latest: () => undefined, ...telemetry });
  return {
    ...telemetry,
    refuse(code: string): { readonly text: string; readonly destroyed: boolean } {
      const socket = new PassThrough();
      listener(failure(code), socket as never);
      return { text: String(socket.read() ?? ''), destroyed: socket.destroyed };
    },
  };
}

test('each kind of invalid request has its status, and its reason in the metrics', async () => {
  const { refuse, metrics } = start();
  for (const [code, status, reason] of [
    ['HPE_INVALID_METHOD', 400, 'bad_request'],
    ['HPE_HEADER_OVERFLOW', 431, 'headers_too_large'],
    ['ERR_HTTP_REQUEST_TIMEOUT', 408, 'headers_timeout'],
    ['HPE_INVALID_EOF_STATE', 400, 'body_not_sent'],
  ] as const) {
    const { text } = refuse(code);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nX-Content-Type-Options: nosniff\\r\\n[^]*"code":`));
    const scraped = (await metrics.render()).text;
    assert.match(scraped, new RegExp(`http_connections_closed_total\\{reason="${reason}"\\} 1\\n`));
  }
});

test('a client that has left is not a bad request: its connection is destroyed, and nothing is counted or logged', async () => {
  const { refuse, metrics, lines } = start();
  for (const code of ['ECONNRESET', 'EPIPE']) assert.deepEqual(refuse(code), { text: '', destroyed: true });
  assert.doesNotMatch((await metrics.render()).text, /http_connections_closed_total\{reason="\w+"\} [^0]/);
  assert.deepEqual(lines, []);
});

test('one line in ten seconds is logged, with the number of connections', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const { refuse, lines } = start();
  for (let i = 0; i < 1000; i++) refuse('HPE_INVALID_METHOD');
  now += 10_000;
  refuse('HPE_HEADER_OVERFLOW');
  assert.deepEqual(
    lines.map(({ level, fields }) => [level, fields.reason, fields.count]),
    [
      ['warning', 'HPE_INVALID_METHOD', 1],
      ['warning', 'HPE_HEADER_OVERFLOW', 1000],
    ],
  );
});
