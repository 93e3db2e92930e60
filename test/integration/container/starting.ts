import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { call, metric, predict } from '../../helpers/calls.ts';
import { type Env, NOT_TOLD, spawnHost, startHost, untilLogged } from '../../helpers/hosts.ts';
import { until } from '../../helpers/until.ts';

/** Starts a server that is meant to end by itself. */
async function startInVain(env: Env): Promise<{ code: number; stdout: string; stderr: string }> {
  const { child } = spawnHost('container', { PORT: '0', ...env });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')]);
  return { code: code as number, stdout, stderr };
}

/** Records what onnxruntime would find in the environment when the engine process first loads it. */
const HOOK = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  registerHooks({
    resolve(name, context, next) {
      if (name.startsWith('onnxruntime-node')) writeSync(1, String(process.env.ORT_DISABLE_TELEMETRY) + '\\n');
      return next(name, context);
    },
  });
`)}`;

/** How a server starts, or does not. */
export function starting(): void {
  describe('the start', { concurrency: 2 }, () => {
    test('a setting that is not usable stops it with one line that names it and what it takes', async () => {
      const { code, stdout, stderr } = await startInVain({ PORT: 'http' });
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^PORT="http" [^\n]*a port, 0 to 65535[^\n]*\n$/);
    });

    test('the port that Vertex AI sets goes before PORT, for the server and for its health check', async () => {
      // Nobody may listen on port 1 without being root, and nobody does.
      const host = await startHost('container', { PORT: '1', AIP_HTTP_PORT: '0' });
      try {
        assert.notEqual(host.port, 1);
        await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
        const check = fileURLToPath(new URL('../../../functions/health-check.ts', import.meta.url));
        const child = spawn(process.execPath, [check], { env: { PORT: '1', AIP_HTTP_PORT: String(host.port) } });
        assert.deepEqual(await once(child, 'exit'), [0, null]);
      } finally {
        await host.stop('SIGKILL');
      }
    });

    test('a port that is taken stops it with a line that says so', async () => {
      const other = createServer().listen(0);
      await once(other, 'listening');
      const { port } = other.address() as { port: number };
      const { code, stdout } = await startInVain({ PORT: String(port) });
      other.close();
      assert.equal(code, 1);
      const [line] = stdout
        .split('\n')
        .map((each) => each !== '' && JSON.parse(each))
        .filter(({ severity }) => severity === 'CRITICAL');
      assert.match(line.message, new RegExp(`PORT=${port} is in use`));
    });

    test('a reader of stdout that stalls does not stall requests', async () => {
      const host = await startHost('container', { INFERENCE_PROCESSES: '1' });
      try {
        await predict(host, [1, 2, 3, 4]);
        host.child.stdout!.pause();
        // Each leaves a line of more than 3 KB: in all more than the pipe, its reader's buffers and the server's own hold.
        const path = `/${'x'.repeat(1500)}`;
        for (let round = 0; round < 40; round++) {
          const answers = await Promise.all(Array.from({ length: 25 }, () => call(host, path)));
          assert.ok(answers.every(({ status }) => status === 404));
        }
        assert.equal((await predict(host, [1, 2, 3, 4])).status, 200);
        assert.ok((await metric(host, 'log_lines_dropped_total')) > 0, 'stdout was read after all');
        const { code } = await host.stop();
        assert.equal(code, 0);
      } finally {
        await host.stop('SIGKILL');
      }
    });

    test("onnxruntime's telemetry is off before the engine process loads it", async () => {
      const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
      const worker = fileURLToPath(new URL('../../../functions/engine/process/worker.ts', import.meta.url));
      const child = spawn(process.execPath, ['--import', HOOK, worker], {
        env,
        stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      });
      const [line] = (await once(child.stdout!.setEncoding('utf8'), 'data')) as [string];
      // It reads the end of its socket as its parent's end.
      child.stdio[3]!.destroy();
      await once(child, 'exit');
      assert.equal(line.split('\n')[0], '1');
    });

    test('a lazy server loads at the first request, which it answers', async () => {
      const host = await startHost('container', { MODEL_LOAD: 'lazy', INFERENCE_PROCESSES: '1' });
      try {
        assert.equal(await metric(host, 'model_state', { state: 'idle' }), 1);
        assert.equal((await predict(host, [5.1, 3.5, 1.4, 0.2])).json().label, 'setosa');
        assert.equal(await metric(host, 'model_state', { state: 'ready' }), 1);
      } finally {
        await host.stop('SIGKILL');
      }
    });

    test('a model that cannot be loaded leaves the server alive, and the log says why', async () => {
      const host = await startHost('container', { MODEL_URI: '/nowhere/at/all' });
      try {
        const { status, json } = await predict(host, [1, 2, 3, 4]);
        assert.deepEqual([status, json().code], [503, 'NOT_READY']);
        assert.match(json().error, NOT_TOLD);
        await untilLogged(host, /\/nowhere\/at\/all: no such file or folder/);
        assert.equal((await fetch(`${host.url}/health`)).status, 200);
        const ready = await fetch(`${host.url}/ready`);
        assert.equal(ready.status, 503);
        assert.match(((await ready.json()) as { error: string }).error, NOT_TOLD);
      } finally {
        await host.stop('SIGKILL');
      }
    });
  });
}
