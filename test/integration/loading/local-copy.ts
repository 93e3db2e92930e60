import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BUCKET, fromBucket, readsOf, tempFolder, untilReady, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, metric, predict } from '../../helpers/calls.ts';
import { kill } from '../../helpers/descendants.ts';
import { engineProcesses, startHost } from '../../helpers/hosts.ts';
import { summed } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

const OBJECT = 'iris/model.onnx';
const BYTES = 2 ** 21;

/** All that is below a folder, by path: folders and sockets too. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => path.replaceAll('\\', '/'));
}

const workFolders = (folder: string): string[] => readdirSync(folder).filter((name) => /^onnx-cloud-run-/.test(name));

/** The copy of a model that a server keeps on its disk. */
export function localCopies(): void {
  describe('the copy on the disk', { concurrency: 3 }, () => {
    test('a bucket that goes away takes nothing: a killed engine is replaced from the copy', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, OBJECT, summed(5, BYTES));
        await withHost(fromBucket(storage, 'iris'), async (host) => {
          await untilReady(host);
          await storage.close();
          for (let round = 1; round <= 3; round++) {
            const engines = engineProcesses(host);
            assert.equal(engines.length, 1);
            kill(engines[0]!);
            await until(async () => (await metric(host, 'engine_restarts_total')) === round, 'a new engine');
            const { status, json, text } = await predict(host, [round, 2]);
            assert.equal(status, 200, text);
            assert.deepEqual(json().prediction, [round + 5, 7]);
          }
          assert.equal((await call(host, '/ready')).status, 200);
        });
        assert.equal(readsOf(storage, OBJECT).length, 1);
      }));

    test('after SIGTERM nothing is left in the temp folder, also of a model that was still on its way', () =>
      withStorage(
        async (storage) => {
          storage.put(BUCKET, OBJECT, summed(5, BYTES));
          const tmp = tempFolder();
          for (const ready of [false, true]) {
            await withHost(fromBucket(storage, 'iris', { TMPDIR: tmp }), async (host) => {
              if (ready) await untilReady(host);
              const part = ready ? /\/1\/model\.onnx$/ : /\/1\/model\.onnx\.part$/;
              await until(() => filesIn(tmp).some((path) => part.test(path)), 'the copy');
              assert.equal((await host.stop()).code, 0);
              assert.deepEqual(filesIn(tmp), []);
            });
          }
        },
        { bytesPerSecond: BYTES },
      ));

    test('what a killed server left is removed by the next one, and what a living one has is not', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, OBJECT, summed(5, BYTES));
        const env = fromBucket(storage, 'iris');
        const tmp = env.TMPDIR!;
        await withHost(env, async (living) => {
          await untilReady(living);
          const [kept] = workFolders(tmp);
          const killed = await startHost('container', env);
          await untilReady(killed);
          await killed.stop('SIGKILL');
          const [left] = workFolders(tmp).filter((name) => name !== kept);
          assert.ok(left !== undefined, 'SIGKILL leaves the copy');
          await withHost(env, async (next) => {
            await untilReady(next);
            await until(() => !workFolders(tmp).includes(left), 'the rest of the killed server to go');
            assert.equal(workFolders(tmp).length, 2);
            assert.ok(filesIn(tmp).includes(`${kept}/1/model.onnx`));
            assert.deepEqual((await predict(next, [1, 2])).json().prediction, [6, 7]);
          });
          kill(engineProcesses(living)[0]!);
          assert.deepEqual((await predict(living, [1, 2])).json().prediction, [6, 7]);
        });
        assert.deepEqual(workFolders(tmp), []);
      }));
  });
}
