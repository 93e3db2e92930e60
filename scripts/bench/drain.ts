/**
 * Loads a server, sends it SIGTERM in the middle of it, and says what became of every request; prints one line of JSON:
 *
 *   node scripts/bench/drain.ts --port 8080 --pid 123 --body row.json --connections 32
 *
 * What is counted, and why it is fair. The client sends the signal itself, so it knows for each request whether it was
 * written before or after.
 * - Written before: its bytes were in the server's socket buffer when the signal came, so it is accepted, and anything but
 *   a whole 2xx is a failure, a 503 as well.
 * - Written after, on a connection the server had not asked to close: a whole 2xx or a whole 503 (`refused`) is well. No
 *   byte of an answer and a reset is a failure: on loopback a reset without an end before it means that the bytes were
 *   there, unread, when the server closed. No byte and a plain end is `raced` where the server went on to answer others:
 *   the request crossed its close of an idle connection, which HTTP/1.1 allows (RFC 9112, 9.5). Where it answered no one
 *   any more it just went away, and that is a failure.
 * - Part of an answer, or a status that is neither 2xx nor 503, is a failure always.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Connection, connect } from './connection.ts';
import { requestBytes } from './request.ts';

export interface DrainResult {
  /** 2xx answers that were whole before the signal. */
  before: number;
  /** 2xx answers that were whole after the signal. */
  after: number;
  /** Requests that were written and unanswered at the signal. */
  accepted: number;
  /** Requests written after the signal and answered 503. */
  refused: number;
  /** Requests written after the signal that crossed the close of an idle connection. */
  raced: number;
  failed: number;
  /** Why, by kind. */
  failures: Record<string, number>;
  /** From the signal until every connection was closed, ms. */
  closedMs: number;
}

export interface DrainOptions {
  readonly port: number;
  readonly pid: number;
  readonly request: Buffer;
  readonly connections: number;
  readonly secondsBefore: number;
  /** How long connections are followed after the signal. */
  readonly boundSeconds: number;
}

/** Runs a closed loop, signals `pid`, and follows every connection to its end, within the bound. */
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
      const connection = connect(port, {
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
      });
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
