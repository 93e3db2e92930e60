import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { call, metric, predict } from '../../helpers/calls.ts';
import { type Env, engineProcesses, type Host, startHost } from '../../helpers/hosts.ts';
import { endlessFolder, modelFolder } from '../../helpers/model-folder.ts';
import { identity, slow } from '../../helpers/models.ts';
import { connect, holdRequest, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

/** With this grace, a server that ends before `stop` kills it has not waited for the end of the grace. */
const LONG_GRACE_MS = 600_000;

async function withHost(env: Env, body: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost('container', { SHUTDOWN_GRACE_MS: String(LONG_GRACE_MS), ...env });
  try {
    await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
    await body(host);
  } finally {
    await host.stop('SIGKILL');
  }
}

const endlessEnv = (): Env => ({ MODEL_URI: endlessFolder(), INFERENCE_PROCESSES: '1' });

/** Values of a row whose response is more than the kernel takes of a client that does not read: 16 MiB. */
const LARGE_VALUES = 2 ** 22;
const LARGE_BYTES = 4 * LARGE_VALUES;

const largeEnv = (): Env => ({ MODEL_URI: modelFolder('large', identity('float32', ['N', LARGE_VALUES])) });

/** Sends a request with a large response, and waits until that is under way. Nothing of it is read. */
async function sendLargeRequest(host: Host): Promise<Socket> {
  // A reset is what a client that does not read may get.
  const socket = createConnection(host.port, '127.0.0.1').on('error', () => {});
  const blob = Buffer.alloc(LARGE_BYTES);
  const input = { name: 'x', datatype: 'FP32', shape: [1, LARGE_VALUES] };
  const parameters = { binary_data_size: blob.length };
  const text = JSON.stringify({ inputs: [{ ...input, parameters }], parameters: { binary_data_output: true } });
  const headers = {
    'content-length': String(text.length + blob.length),
    'inference-header-content-length': String(text.length),
  };
  socket.write(postText('/v2/models/large/infer', text, headers));
  socket.write(blob);
  const sent = { route: '/v2/models/{name}/infer', status: '200' };
  await until(async () => (await metric(host, 'http_requests_total', sent)) === 1, 'the response', 60_000);
  return socket;
}

/** Starts a run that never ends, and gives what its client gets. */
async function startEndlessRun(host: Host): Promise<{ readonly owner: Promise<unknown> }> {
  const owner = predict(host, [1]).catch((error: Error) => error);
  await until(async () => (await metric(host, 'engine_processes', { state: 'busy' })) === 1, 'the run');
  return { owner };
}

interface Reply {
  readonly status: number;
  readonly connection: string | undefined;
}

function post(host: Host, agent: Agent, body: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(
      { port: host.port, host: '127.0.0.1', method: 'POST', path: '/predict', agent, headers },
      (res) => {
        res.resume().once('end', () => resolve({ status: res.statusCode!, connection: res.headers.connection }));
        res.once('error', reject);
      },
    );
    sent.once('error', reject).end(body);
  });
}

/** A client that sends requests until the server refuses one. Gives the responses to them. */
async function ask(host: Host, agent: Agent, replies: Reply[]): Promise<Reply[]> {
  const own: Reply[] = [];
  while (own.at(-1)?.status !== 503) {
    const reply = await post(host, agent, '{"features":[5]}');
    own.push(reply);
    replies.push(reply);
  }
  return own;
}

/** SIGTERM, SIGINT, SIGKILL. */
export function shuttingDown(): void {
  describe('shutdown', { concurrency: 2 }, () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      test(`${signal} under load: accepted requests are finished, new ones are refused, and the exit code is 0`, () =>
        withHost({ MODEL_URI: modelFolder('slow', slow()) }, async (host) => {
          const agent = new Agent({ keepAlive: true });
          const replies: Reply[] = [];
          const clients = Array.from({ length: 24 }, () => ask(host, agent, replies));
          await until(() => replies.length > 50, 'some answers');
          const release = await holdRequest(host, '/predict', '{"features":[5]}');
          const ended = host.stop(signal);
          for (const own of await Promise.all(clients)) {
            assert.deepEqual(own.pop(), { status: 503, connection: 'close' });
            assert.ok(own.every(({ status }) => status === 200));
          }
          assert.equal((await release()).status, 200);
          const { code, left } = await ended;
          assert.deepEqual([code, left], [0, []]);
          agent.destroy();
        }));
    }

    test('while it drains, /ready responds with 503 and /health with 200', () =>
      withHost({ MODEL_URI: modelFolder('slow', slow()) }, async (host) => {
        const long = predict(host, [400]);
        await until(async () => (await metric(host, 'engine_processes', { state: 'busy' })) === 1, 'the run');
        const ended = host.stop();
        const ready = await until(async () => {
          const answer = await call(host, '/ready');
          return answer.status === 503 && answer;
        }, '/ready to respond with 503');
        assert.deepEqual([ready.json().code, ready.headers.get('retry-after')], ['DRAINING', '1']);
        const health = await call(host, '/health');
        assert.deepEqual([health.status, health.json().status], [200, 'draining']);
        const refused = await predict(host, [0]);
        assert.deepEqual([refused.status, refused.json().code], [503, 'DRAINING']);
        assert.equal((await long).status, 200);
        assert.equal((await ended).code, 0);
      }));

    test('a stream is ended with a line from which its client can resume', () =>
      withHost({ MODEL_URI: modelFolder('slow', slow()) }, async (host) => {
        const connection = connect(host);
        const headers = { 'content-type': 'application/x-ndjson', 'content-length': '100000' };
        const row = (ms: number): string => `{"features":[${ms}]}\n`;
        connection.send(postText('/batch_predict', row(0).repeat(7), headers));
        await connection.text('"index":6');
        // Two that were accepted and are still being run.
        connection.send(row(300) + row(300));
        await until(async () => (await metric(host, 'engine_processes', { state: 'busy' })) >= 1, 'a run');
        const ended = host.stop();
        await connection.text('{"index":7,"prediction":[300]');
        await connection.text('{"index":8,"prediction":[300]');
        const rest = await connection.closed;
        assert.match(rest, /\n\{"done":false,"next_index":9,"code":"DRAINING"[^\n]*\}\n/);
        const { code, left } = await ended;
        assert.deepEqual([code, left], [0, []]);
      }));

    test('a second signal exits at once', () =>
      withHost(endlessEnv(), async (host) => {
        const { owner } = await startEndlessRun(host);
        host.child.kill('SIGTERM');
        await until(() => host.lines.some((line) => line.includes('SIGTERM: finishing')), 'the drain');
        const { code, left } = await host.stop();
        assert.ok(code !== 0 && code !== null, 'something was cut off');
        assert.deepEqual(left, []);
        assert.ok((await owner) instanceof Error);
      }));

    test('a run that never ends does not delay the exit beyond SHUTDOWN_GRACE_MS', () =>
      withHost({ ...endlessEnv(), SHUTDOWN_GRACE_MS: '2000' }, async (host) => {
        const { owner } = await startEndlessRun(host);
        const { code, left } = await host.stop();
        assert.deepEqual([code, left], [0, []]);
        assert.ok((await owner) instanceof Error);
        assert.ok(host.lines.some((line) => line.includes('SHUTDOWN_GRACE_MS is over')));
      }));

    test('a response that its client does not read does not delay the exit until SHUTDOWN_GRACE_MS is over', () =>
      withHost(largeEnv(), async (host) => {
        const socket = await sendLargeRequest(host);
        assert.equal((await host.stop()).code, 0);
        socket.destroy();
      }));

    test('a stream that its client does not read does not delay the exit until SHUTDOWN_GRACE_MS is over', () =>
      withHost(largeEnv(), async (host) => {
        const connection = connect(host);
        const row = `{"features":[${'0,'.repeat(LARGE_VALUES - 1)}0]}\n`;
        connection.send(postText('/batch_predict', row, { 'content-type': 'application/x-ndjson' }));
        await connection.text('HTTP/1.1 200 OK');
        connection.socket.pause();
        assert.equal((await host.stop()).code, 0);
        connection.destroy();
      }));

    test('a client that reads slowly gets its whole response while the server drains', () =>
      withHost(largeEnv(), async (host) => {
        const socket = await sendLargeRequest(host);
        const ended = host.stop();
        await until(() => host.lines.some((line) => line.includes('SIGTERM: finishing')), 'the drain');
        let read = 0;
        let pausedAt = 0;
        // Its pauses are shorter than the time for which a client may read nothing, and longer together.
        for await (const piece of socket) {
          read += (piece as Buffer).length;
          if (read - pausedAt < LARGE_BYTES / 12) continue;
          pausedAt = read;
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
        assert.ok(read > LARGE_BYTES, `${read} bytes`);
        assert.equal((await ended).code, 0);
      }));

    test('when it is killed during a run that never ends, no engine is left 2 s later', () =>
      withHost(endlessEnv(), async (host) => {
        const { owner } = await startEndlessRun(host);
        assert.equal(engineProcesses(host).length, 1);
        const { signal, left } = await host.stop('SIGKILL');
        assert.deepEqual([signal, left], ['SIGKILL', []]);
        await owner;
      }));
  });
}
