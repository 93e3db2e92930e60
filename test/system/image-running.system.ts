import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { before, describe, test } from 'node:test';
import { call, metric, predict } from '../helpers/calls.ts';
import { type Env, engineProcesses, type Host, startHost } from '../helpers/hosts.ts';
import { buildImage, docker, IMAGE } from '../helpers/image.ts';
import { modelFolder } from '../helpers/model-folder.ts';
import { slow } from '../helpers/models.ts';
import { until } from '../helpers/until.ts';
import { run } from './program.ts';

before(() => buildImage());

const READY_MS = 30_000;
const nameOf = ({ port }: Host): string => `ml-model-test-${port}`;

async function withImage(env: Env, body: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost('image', env);
  try {
    await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready', READY_MS);
    await body(host);
  } finally {
    await host.stop('SIGKILL');
  }
}

interface Asked {
  readonly at: number;
  /** The status, or the code of a broken connection. */
  readonly got: number | string;
}

/** One client of many: asks until it gets no answer, or another than 200. */
async function ask({ port }: Host, agent: Agent): Promise<Asked[]> {
  const asked: Asked[] = [];
  do {
    const at = performance.now();
    asked.push({ at, got: await once(port, agent, '{"features":[5]}') });
  } while (asked.at(-1)?.got === 200);
  return asked;
}

function once(port: number, agent: Agent, body: string): Promise<number | string> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/predict', agent, headers }, (res) => {
      res.resume().once('end', () => resolve(res.statusCode!));
      res.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'broken'));
    });
    sent.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'broken')).end(body);
  });
}

describe('the image under Docker, with a read-only root, no capabilities, 512 MB and one CPU', {
  concurrency: 2,
}, () => {
  test('docker stop under load: all that was accepted is answered, and the exit code is 0', () =>
    withImage({ MODEL_URI: modelFolder('slow', slow()) }, async (host) => {
      const agent = new Agent({ keepAlive: true });
      const clients = Array.from({ length: 24 }, () => ask(host, agent));
      await until(async () => (await metric(host, 'predictions_total', { outcome: 'ok' })) > 50, 'some answers');
      const exit = new Promise((resolve) => host.child.once('exit', resolve));
      const stopped = performance.now();
      await run('docker', ['stop', nameOf(host)]);
      const asked = (await Promise.all(clients)).flat();
      const accepted = asked.filter(({ at }) => at < stopped);
      assert.ok(accepted.length > 50);
      assert.deepEqual([...new Set(accepted.map(({ got }) => got))], [200]);
      // What came after the signal is answered, or told that the server goes; once that has gone, Docker's proxy takes a
      // connection and drops it.
      const later = new Set(asked.filter(({ at }) => at >= stopped).map(({ got }) => got));
      assert.ok(later.has(503), [...later].join());
      assert.deepEqual(
        [...later].filter((got) => ![200, 503, 'ECONNREFUSED', 'ECONNRESET'].includes(got)),
        [],
      );
      assert.ok(!host.lines.some((line) => line.includes('cut off')));
      assert.equal(await exit, 0);
    }));

  test('50 000 requests from 32 connections leave the same processes, and none was killed for memory', () =>
    withImage({}, async (host) => {
      const engines = engineProcesses(host);
      const agent = new Agent({ keepAlive: true, maxSockets: 32 });
      const got = new Map<number | string, number>();
      let left = 50_000;
      const client = async (): Promise<void> => {
        while (left-- > 0) {
          const status = await once(host.port, agent, '{"features":[5.1,3.5,1.4,0.2]}');
          got.set(status, (got.get(status) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: 32 }, client));
      agent.destroy();
      assert.deepEqual([...got], [[200, 50_000]]);
      assert.deepEqual(engineProcesses(host), engines);
      const state = docker('inspect', '--format', '{{.State.OOMKilled}} {{.RestartCount}}', nameOf(host));
      assert.equal(state, 'false 0');
    }));

  test('HEALTHCHECK tells whether the model is ready, without a shell', () =>
    withImage({}, async (host) => {
      docker('exec', nameOf(host), '/nodejs/bin/node', 'dist/health-check.js');
      const check = ['/nodejs/bin/node', 'dist/health-check.js'];
      assert.deepEqual(JSON.parse(docker('inspect', '--format', '{{json .Config.Healthcheck.Test}}', nameOf(host))), [
        'CMD',
        ...check,
      ]);
      // Nothing listens there.
      assert.throws(() => docker('exec', '-e', 'PORT=9', nameOf(host), ...check), { status: 1 });
    }));

  test('a model that does not load is unhealthy, and /health tells why', async () => {
    const host = await startHost('image', { MODEL_NAME: 'nowhere' });
    try {
      await until(
        async () => (await call(host, '/health')).json().model.state === 'failed',
        'the load to fail',
        READY_MS,
      );
      const check = ['exec', nameOf(host), '/nodejs/bin/node', 'dist/health-check.js'];
      assert.throws(() => docker(...check), { status: 1 });
    } finally {
      await host.stop('SIGKILL');
    }
  });

  test('LOG_TRANSPORT=cloud finds its libraries, and without credentials it writes to stdout and serves on', () =>
    withImage({ LOG_TRANSPORT: 'cloud', GOOGLE_CLOUD_PROJECT: 'none' }, async (host) => {
      await until(() => host.lines.some((line) => line.includes('Could not load the default credentials')), 'the word');
      assert.equal((await predict(host, [5.1, 3.5, 1.4, 0.2])).status, 200);
      assert.deepEqual(
        host.lines.filter((line) => /MODULE_NOT_FOUND|Cannot find|CRITICAL/.test(line)),
        [],
      );
    }));
});

describe('the quota of CPUs', () => {
  for (const [cpus, count] of [
    ['1', 1],
    ['2', 2],
  ] as const) {
    test(`--cpus ${cpus} gives ${count} engine processes, whatever the host has`, async () => {
      const name = `ml-model-test-cpus-${cpus}`;
      docker('run', '-d', '--name', name, '--cpus', cpus, '-p', '127.0.0.1:0:8080', IMAGE);
      try {
        const port = docker('port', name, '8080').split('\n')[0]!.split(':').at(-1);
        const host = { url: `http://127.0.0.1:${port}` };
        await until(
          () =>
            call(host, '/ready').then(
              ({ status }) => status === 200,
              () => false,
            ),
          'the model',
          READY_MS,
        );
        assert.equal(await metric(host, 'engine_processes'), count);
      } finally {
        docker('rm', '-f', name);
      }
    });
  }
});
