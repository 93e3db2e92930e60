import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildIfNeeded } from '../../../scripts/build-if-needed.ts';
import { HOST_ARGUMENTS, startServer } from '../../../scripts/server-process.ts';
import { call } from '../../helpers/calls.ts';
import { IRIS } from '../../helpers/hosts.ts';
import { endlessFolder } from '../../helpers/model-folder.ts';
import { connect, holdRequest, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

/** A module that throws in the serving process on SIGUSR2, outside of any request. */
const throwing = (how: string): string =>
  `data:text/javascript,${encodeURIComponent(`
    if (process.argv[1]?.endsWith('server.js')) process.on('SIGUSR2', () => { ${how} });
  `)}`;

const KINDS = [
  ['uncaughtException', "throw new Error('boom')"],
  ['unhandledRejection', "void Promise.reject(new Error('boom'))"],
] as const;

async function start(how: string, env: Readonly<Record<string, string>>) {
  buildIfNeeded('ctimeMs');
  const args = ['--import', throwing(how), ...HOST_ARGUMENTS.container];
  return startServer(args, { NODE_ENV: 'production', MODEL_URI: IRIS, INFERENCE_PROCESSES: '1', ...env });
}

/** Errors of the serving process that nothing catches. */
export function uncaught(): void {
  describe('an uncaught error', { concurrency: 2 }, () => {
    for (const [event, how] of KINDS) {
      test(`${event}: it is logged, the request in flight is finished, new ones are refused, and the exit code is 1`, async () => {
        const host = await start(how, { SHUTDOWN_GRACE_MS: '600000' });
        try {
          await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
          const release = await holdRequest(host, '/predict', '{"features":[5.1,3.5,1.4,0.2]}');
          host.child.kill('SIGUSR2');
          await until(async () => (await call(host, '/ready')).status === 503, 'the drain');
          // A second one must neither cut the request off nor be lost.
          host.child.kill('SIGUSR2');
          const errors = () => host.lines.filter((line) => line.includes(`uncaught error: ${event}`));
          await until(() => errors().length === 2, 'both lines');
          assert.equal((await release()).status, 200);
          const { code, left } = await host.waitForEnd();
          assert.deepEqual([code, left], [1, []]);
          const { severity, message, stack_trace } = JSON.parse(errors()[0]!);
          assert.equal(severity, 'CRITICAL');
          assert.match(`${message} ${stack_trace}`, /boom/);
        } finally {
          await host.stop('SIGKILL');
        }
      });
    }

    test('a run that never ends does not delay the exit beyond SHUTDOWN_GRACE_MS, and the exit code is 1', async () => {
      const env = { MODEL_URI: endlessFolder(), SHUTDOWN_GRACE_MS: '2000' };
      const host = await start(KINDS[0][1], env);
      try {
        await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
        const client = connect(host);
        client.send(postText('/predict', '{"features":[1]}'));
        await until(async () => /state="busy"\} 1/.test((await call(host, '/metrics')).text), 'the run');
        host.child.kill('SIGUSR2');
        const { code, left } = await host.waitForEnd();
        assert.deepEqual([code, left], [1, []]);
        assert.ok(host.lines.some((line) => line.includes('SHUTDOWN_GRACE_MS is over')));
        client.destroy();
      } finally {
        await host.stop('SIGKILL');
      }
    });
  });
}
