/**
 * Loads a server, sends it SIGTERM meanwhile, and reports the outcome of every request; prints one line of JSON:
 *
 *   node scripts/bench/drain.ts --port 8080 --pid 123 --body row.json --connections 32
 *
 * How requests are counted. The client sends the signal itself, so it knows for each request whether it was written before or after.
 * - Written before: its bytes were in the server's socket buffer when the signal arrived, so it is accepted, and anything but a
 *   complete 2xx is a failure, also a 503.
 * - Written after, on a connection that the server had not announced to close: a complete 2xx or a complete 503 (`refused`) is correct.
 *   A reset without any byte of a response is a failure: on loopback, a reset that no end precedes means that the bytes were unread
 *   when the server closed. An end without any byte is `raced` if the server responded to others afterwards: the request crossed the
 *   close of an idle connection, which HTTP/1.1 allows (RFC 9112, 9.5). If the server responded to no one afterwards, it is a failure.
 * - A part of a response, or a status that is neither 2xx nor 503, is always a failure.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Connection, connect } from '../../functions/cli/loadtest/http/connection.ts';
import { requestBytes } from '../../functions/cli/loadtest/http/request.ts';

export interface DrainResult {
  /** 2xx responses that were complete before the signal. */
  before: number;
  /** 2xx responses that were complete after the signal. */
  after: number;
  /** Requests that were written and had no response at the signal. */
  accepted: number;
  /** Requests that were written after the signal and got 503. */
  refused: number;
  /** Requests that were written after the signal and crossed the close of an idle connection. */
  raced: number;
  failed: number;
  /** The number of failures, by kind. */
  failures: Record<string, number>;
  /** Milliseconds from the signal until every connection was closed. */
  closedMs: number;
}

interface DrainOptions {
  readonly port: number;
  readonly pid: number;
  readonly request: Buffer;
  readonly connections: number;
  readonly secondsBefore: number;
  /** How long connections are observed after the signal. */
  readonly boundSeconds: number;
}

/** Runs a closed loop, signals `pid`, and observes every connection until its end, within the bound. */
export function drain(options: DrainOptions): Promise<DrainResult> {
  const { port, pid, request, connections, secondsBefore, boundSeconds } = options;
  const failures = new Map<string, number>();
  const open = new Set<Connection>();
  const waiting = new Map<Connection, number>();
  let [before, after, refused, raced, accepted] = [0, 0, 0, 0, 0];
  const ends: number[] = [];
  let lastAnswerAt = 0;
  let signalAt = Number.POSITIVE_INFINITY;
  let [opened, settled] = [0, false];

  return new Promise((resolve) => {
    const fail = (kind: string): unknown => failures.set(kind, (failures.get(kind) ?? 0) + 1);

    function finish(): void {
      if (settled) return;
      settled = true;
      clearTimeout(bound);
      for (const _ of waiting.keys()) fail('unanswered at the end');
      for (const connection of open) connection.destroy();
      for (const at of ends) {
        if (at < lastAnswerAt) raced += 1;
        else fail('cut without an answer');
      }
      const failed = [...failures.values()].reduce((a, b) => a + b, 0);
      const closedMs = performance.now() - signalAt;
      resolve({ before, after, accepted, refused, raced, failed, failures: Object.fromEntries(failures), closedMs });
    }

    function onAnswer(status: number, sentAt: number): void {
      lastAnswerAt = performance.now();
      if (status >= 200 && status < 300) {
        if (lastAnswerAt < signalAt) before += 1;
        else after += 1;
      } else if (status === 503 && sentAt > signalAt) refused += 1;
      else fail(`status ${status}`);
    }

    function openOne(): void {
      const connection = connect(
        { port },
        {
          onOpen() {
            opened += 1;
            send();
          },
          onResponse(status, close) {
            onAnswer(status, waiting.get(connection) ?? 0);
            waiting.delete(connection);
            if (close) connection.destroy();
            else send();
          },
          onClose(error, partial) {
            open.delete(connection);
            const sentAt = waiting.get(connection);
            waiting.delete(connection);
            if (!settled && sentAt !== undefined) {
              if (partial) fail('cut in the middle of an answer');
              else if (sentAt < signalAt || error !== undefined) fail('cut without an answer');
              else ends.push(performance.now());
            }
            if (performance.now() < signalAt) openOne();
            else if (open.size === 0) finish();
          },
        },
      );
      function send(): void {
        waiting.set(connection, performance.now());
        connection.send(request);
      }
      open.add(connection);
    }

    for (let i = 0; i < connections; i += 1) openOne();
    const bound = setTimeout(finish, (secondsBefore + boundSeconds) * 1000);
    setTimeout(() => {
      if (opened === 0) return finish();
      accepted = waiting.size;
      signalAt = performance.now();
      process.kill(pid, 'SIGTERM');
    }, secondsBefore * 1000);
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      pid: { type: 'string' },
      path: { type: 'string', default: '/predict' },
      body: { type: 'string', default: '' },
      connections: { type: 'string', default: '32' },
      seconds: { type: 'string', default: '1' },
    },
  });
  const result = await drain({
    port: Number(values.port),
    pid: Number(values.pid),
    request: requestBytes('POST', values.path, readFileSync(values.body)),
    connections: Number(values.connections),
    secondsBefore: Number(values.seconds),
    boundSeconds: 15,
  });
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
