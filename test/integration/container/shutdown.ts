import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { describe, test } from 'node:test';
import { call, metric, predict } from '../../helpers/calls.ts';
import { type Env, type Host, startHost } from '../../helpers/hosts.ts';
import { endlessFolder, modelFolder } from '../../helpers/model-folder.ts';
import { identity, slow } from '../../helpers/models.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const GRACE_MS = 2000;
/** A machine busy with other tests: what is over in milliseconds must be over within this. */
const SLACK_MS = 1000;

async function withHost(env: Env, body: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost('container', { SHUTDOWN_GRACE_MS: String(GRACE_MS), ...env });
  try {
    await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready', 30_000);
    await body(host);
  } finally {
    await host.stop('SIGKILL');
  }
}

const endlessEnv = (): Env => ({ MODEL_URI: endlessFolder(), INFERENCE_PROCESSES: '1' });

/** A run that never ends is under way; what its owner gets. */
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

/** One client of many: asks until it is told that the server goes. Gives all that it was answered. */
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
      test(`${signal} under load: all that was accepted is answered, what comes is refused, exit 0`, () =>
        withHost({ MODEL_URI: modelFolder('slow', slow()) }, async (host) => {
          const agent = new Agent({ keepAlive: true });
          const replies: Reply[] = [];
          const clients = Array.from({ length: 24 }, () => ask(host, agent, replies));
          await until(() => replies.length > 50, 'some answers');
          const ended = host.stop(signal);
          for (const own of await Promise.all(clients)) {
            assert.deepEqual(own.pop(), { status: 503, connection: 'close' });
            assert.ok(own.every(({ status }) => status === 200));
          }
          const { code, ms, left } = await ended;
          assert.deepEqual([code, left], [0, []]);
          assert.ok(ms < GRACE_MS + SLACK_MS, `${ms} ms`);
          agent.destroy();
        }));
    }

    test('while it drains, /ready says 503 and /health 200', () =>
      withHost({ MODEL_URI: modelFolder('slow', slow()) }, async (host) => {
        const long = predict(host, [400]);
        await until(async () => (await metric(host, 'engine_processes', { state: 'busy' })) === 1, 'the run');
        const ended = host.stop();
        const ready = await until(async () => {
          const answer = await call(host, '/ready');
          return answer.status === 503 && answer;
        }, '/ready to say 503');
        assert.deepEqual([ready.json().code, ready.headers.get('retry-after')], ['DRAINING', '1']);
        const health = await call(host, '/health');
        assert.deepEqual([health.status, health.json().status], [200, 'draining']);
        const refused = await predict(host, [0]);
        assert.deepEqual([refused.status, refused.json().code], [503, 'DRAINING']);
        assert.equal((await long).status, 200);
        assert.equal((await ended).code, 0);
      }));

    test('a stream is ended with a line that says where to go on', () =>
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
      withHost({ ...endlessEnv(), SHUTDOWN_GRACE_MS: '60000' }, async (host) => {
        const { owner } = await startEndlessRun(host);
        host.child.kill('SIGTERM');
        await until(() => host.lines.some((line) => line.includes('SIGTERM: finishing')), 'the drain');
        const { code, ms, left } = await host.stop();
        assert.ok(code !== 0 && code !== null, 'something was cut off');
        assert.ok(ms < SLACK_MS, `${ms} ms`);
        assert.deepEqual(left, []);
        assert.ok((await owner) instanceof Error);
      }));

    test('a run that never ends does not keep it beyond SHUTDOWN_GRACE_MS', () =>
      withHost(endlessEnv(), async (host) => {
        const { owner } = await startEndlessRun(host);
        const { code, ms, left } = await host.stop();
        assert.deepEqual([code, left], [0, []]);
        assert.ok(ms > GRACE_MS / 2 && ms < GRACE_MS + SLACK_MS, `${ms} ms`);
        assert.ok((await owner) instanceof Error);
        assert.ok(host.lines.some((line) => line.includes('SHUTDOWN_GRACE_MS is over')));
      }));

    test('a client that does not read its response keeps it no longer than it keeps any server', () =>
      withHost(
        {
          MODEL_URI: modelFolder('unread', identity('float32', ['N', 2 ** 20])),
          REQUEST_TIMEOUT_MS: '6000',
          SHUTDOWN_GRACE_MS: '14000',
        },
        async (host) => {
          const connection = connect(host);
          connection.socket.pause();
          const blob = Buffer.alloc(4 * 4 * 2 ** 20);
          const input = { name: 'x', datatype: 'FP32', shape: [4, 2 ** 20] };
          const parameters = { binary_data_size: blob.length };
          const text = JSON.stringify({ inputs: [{ ...input, parameters }], parameters: { binary_data_output: true } });
          const headers = {
            'content-length': String(text.length + blob.length),
            'inference-header-content-length': String(text.length),
          };
          connection.send(postText('/v2/models/unread/infer', text, headers));
          connection.send(blob);
          const asked = { route: '/v2/models/{name}/infer', status: '200' };
          await until(async () => (await metric(host, 'http_requests_total', asked)) === 1, 'the response');
          const { code } = await host.stop();
          assert.equal(code, 0);
          assert.ok(!host.lines.some((line) => line.includes('SHUTDOWN_GRACE_MS is over')), 'it was waited for');
          connection.destroy();
        },
      ));

    test('when it is killed during a run that never ends, no engine is left 2 s later', () =>
      withHost(endlessEnv(), async (host) => {
        const { owner } = await startEndlessRun(host);
        assert.equal(host.engines().length, 1);
        const { signal, left } = await host.stop('SIGKILL');
        assert.deepEqual([signal, left], ['SIGKILL', []]);
        await owner;
      }));
  });
}
