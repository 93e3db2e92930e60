/**
 * Requests predictions over many connections, one after the other on each, and checks that each response is of one version: each
 * version adds its number to its input. Prints one line of JSON when its parent closes stdin, and exits.
 *
 *   node scripts/bench/swap-client.ts --port 8080 --connections 32
 */
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';

export interface SwapResult {
  requests: number;
  /** Requests without a 200. */
  failed: number;
  /** Responses whose value is not that of the version that they name, or whose values differ. */
  mixed: number;
  /** Versions that responded. */
  versions: number;
  failures: Record<string, number>;
}

const BODY = '{"features":[0,0]}';
/** Longest duration, whatever the parent does. */
const BOUND_MS = 600_000;

interface Predicted {
  readonly outputs: { readonly y: readonly number[] };
  readonly model: { readonly version: string };
}

const { values } = parseArgs({ options: { port: { type: 'string' }, connections: { type: 'string', default: '32' } } });
const agent = new Agent({ keepAlive: true, maxSockets: Number(values.connections) });
const options = {
  port: Number(values.port),
  host: '127.0.0.1',
  path: '/predict',
  method: 'POST',
  agent,
  headers: { 'Content-Type': 'application/json', 'Content-Length': BODY.length },
};
const result: SwapResult = { requests: 0, failed: 0, mixed: 0, versions: 0, failures: {} };
const versions = new Set<string>();
let stopping = false;

function ask(): Promise<void> {
  return new Promise((resolve) => {
    const sent = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => {
        judge(response.statusCode ?? 0, text);
        resolve();
      });
    });
    sent.on('error', (error) => {
      fail(error.message);
      resolve();
    });
    sent.end(BODY);
  });
}

function fail(why: string): void {
  result.failed += 1;
  result.failures[why] = (result.failures[why] ?? 0) + 1;
}

function judge(status: number, text: string): void {
  result.requests += 1;
  if (status !== 200) {
    fail(`${status} ${text.slice(0, 120)}`);
    return;
  }
  const { outputs, model } = JSON.parse(text) as Predicted;
  versions.add(model.version);
  if (outputs.y.some((each) => String(each) !== model.version)) result.mixed += 1;
}

async function keepAsking(): Promise<void> {
  while (!stopping) await ask();
}

process.stdin.on('end', () => {
  stopping = true;
});
process.stdin.resume();
setTimeout(() => process.exit(1), BOUND_MS).unref();
await Promise.all(Array.from({ length: Number(values.connections) }, keepAsking));
result.versions = versions.size;
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
