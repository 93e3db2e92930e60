/**
 * The load generator, a process of its own that prints one line of JSON and exits:
 *
 *   node scripts/bench/load.ts --port 8080 --path /predict --body row.json --connections 32 --seconds 5
 *   node scripts/bench/load.ts --port 8080 --path /embed --lines bodies.ndjson --connections 32 --seconds 5
 *   node scripts/bench/load.ts --port 8080 --path /health --probe 50 --seconds 5
 *
 * The first two forms are a closed loop: each connection writes its next request when the response to the last has arrived; with
 * `--lines`, each request has the next line of the file as its body, and the first line follows the last. As it shares
 * the machine with the server that it measures, it uses raw sockets, one write for each request, and a histogram.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createHistogram } from '../../functions/cli/loadtest/generator/histogram.ts';
import { type Connection, connect } from '../../functions/cli/loadtest/http/connection.ts';
import { requestBytes } from '../../functions/cli/loadtest/http/request.ts';
import { probe } from './probe.ts';

export interface LoadResult {
  requests: number;
  seconds: number;
  /** Responses with a 2xx status per second. */
  rate: number;
  /** Latency of the 2xx responses, ms. */
  p50: number;
  p90: number;
  p99: number;
  max: number;
  /** Connections that failed, or ended before a response. */
  errors: number;
  statuses: Record<string, number>;
  /** Cores that the generator itself used. */
  cores: number;
}

interface LoadOptions {
  readonly port: number;
  /** One, or several that are sent in turn. */
  readonly request: Buffer | readonly Buffer[];
  readonly connections: number;
  /** The measured time; the longest, if `requests` is given. */
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** Stops after so many responses; 0: after the time alone. */
  readonly requests: number;
}

const RECONNECT_MS = 10;

/** Loads a server in a closed loop for a bounded time. */
export function load(options: LoadOptions): Promise<LoadResult> {
  const { port, connections, requests } = options;
  const bodies = [options.request].flat() as readonly Buffer[];
  let turn = 0;
  const histogram = createHistogram();
  const statuses = new Map<number, number>();
  const open = new Set<Connection>();
  let [errors, answered, issued] = [0, 0, 0];
  let stopped = false;
  let startedAt = performance.now();
  let cpu = process.cpuUsage();

  return new Promise((resolve) => {
    function begin(): void {
      histogram.clear();
      statuses.clear();
      [errors, answered] = [0, 0];
      startedAt = performance.now();
      cpu = process.cpuUsage();
    }

    function stop(): void {
      if (stopped) return;
      stopped = true;
      clearTimeout(timer);
      clearTimeout(warm);
      const seconds = (performance.now() - startedAt) / 1000;
      const used = process.cpuUsage(cpu);
      for (const connection of open) connection.destroy();
      resolve({
        requests: answered,
        seconds,
        rate: histogram.count() / seconds,
        p50: histogram.quantile(0.5),
        p90: histogram.quantile(0.9),
        p99: histogram.quantile(0.99),
        max: histogram.max(),
        errors,
        statuses: Object.fromEntries(statuses),
        cores: (used.user + used.system) / 1e6 / seconds,
      });
    }

    function openOne(): void {
      let sentAt = 0;
      let waiting = false;
      let closing = false;
      function sendNext(now: number): void {
        if (requests > 0 && issued >= requests) return;
        issued += 1;
        sentAt = now;
        waiting = true;
        connection.send(bodies[turn++ % bodies.length]!);
      }
      const connection = connect(
        { port },
        {
          onOpen: () => sendNext(performance.now()),
          onResponse(status, close) {
            if (stopped) return;
            const now = performance.now();
            waiting = false;
            answered += 1;
            if (status >= 200 && status < 300) histogram.record(now - sentAt);
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
            closing = close;
            if (requests > 0 && answered >= requests) stop();
            else if (close) connection.destroy();
            else sendNext(now);
          },
          onClose() {
            open.delete(connection);
            if (stopped) return;
            if (waiting) issued -= 1;
            if (!closing || waiting) errors += 1;
            setTimeout(openOne, closing && !waiting ? 0 : RECONNECT_MS);
          },
        },
      );
      open.add(connection);
    }

    const timer = setTimeout(stop, (options.warmupSeconds + options.seconds) * 1000);
    const warm = setTimeout(begin, options.warmupSeconds * 1000);
    if (options.warmupSeconds === 0) clearTimeout(warm);
    for (let i = 0; i < connections; i += 1) openOne();
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      path: { type: 'string', default: '/predict' },
      body: { type: 'string' },
      lines: { type: 'string' },
      type: { type: 'string', default: 'application/json' },
      connections: { type: 'string', default: '32' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '0' },
      requests: { type: 'string', default: '0' },
      probe: { type: 'string' },
    },
  });
  const [port, seconds] = [Number(values.port), Number(values.seconds)];
  const bodies =
    values.lines === undefined
      ? [values.body === undefined ? '' : readFileSync(values.body)]
      : readFileSync(values.lines, 'utf8').trimEnd().split('\n');
  const method = bodies[0] === '' ? 'GET' : 'POST';
  const request = bodies.map((body) => requestBytes(method, values.path, body, [`Content-Type: ${values.type}`]));
  const result =
    values.probe === undefined
      ? await load({
          port,
          request,
          seconds,
          connections: Number(values.connections),
          warmupSeconds: Number(values.warmup),
          requests: Number(values.requests),
        })
      : await probe({ port, request: request[0]!, seconds, perSecond: Number(values.probe) });
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
