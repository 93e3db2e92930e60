import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, BUCKET, fromBucket, useStorage, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, linesOf, metric, post, predict } from '../../helpers/calls.ts';
import { engineProcesses, NOT_TOLD, untilLogged, useHost } from '../../helpers/hosts.ts';
import { addConstant } from '../../helpers/models.ts';

/** Names as they are in buckets. */
const ODD_NAMES = ['two words', 'rose.v1.2', 'team a/rose', 'Größe', '100%', 'a+b?c#d', '7days'];
/** What the server takes an engine with a small model to need, in bytes, and a little more. */
const EACH = 73 * 2 ** 20;
const MODELS = 7;
const LOADED = 3;

/** Many models behind one address. */
export function namedModels(): void {
  describe('a repository in a bucket', { concurrency: 3 }, () => {
    const storage = useStorage({}, ({ put }) => {
      put(BUCKET, 'repo/iris/1/model.onnx', addConstant(1));
      put(BUCKET, 'repo/iris/2/model.onnx', addConstant(2));
      put(BUCKET, 'repo/iris/2/model.json', Buffer.from('{"name":"Iris of Fisher"}'));
      put(BUCKET, 'repo/plain/model.onnx', addConstant(50));
      for (const [i, name] of ODD_NAMES.entries()) put(BUCKET, `repo/${name}/1/model.onnx`, addConstant(100 + i));
    });
    const host = useHost('container', () => fromBucket(storage(), 'repo', { MODEL_NAME: 'iris' }));

    test('MODEL_NAME says which one /predict is, and it answers by its name too', async () => {
      const model = { name: 'Iris of Fisher', version: '2' };
      const plain = await predict(host(), [1, 2]);
      assert.deepEqual([plain.json().prediction, plain.json().model], [[3, 4], model]);
      for (const name of ['iris', 'Iris of Fisher']) {
        const named = await ask(host(), name, [1, 2]);
        assert.deepEqual([named.status, named.json().prediction, named.json().model], [200, [3, 4], model]);
      }
      assert.deepEqual((await ask(host(), 'plain', [1, 2])).json().prediction, [51, 52]);
    });

    test('each version answers under its number', async () => {
      for (const version of ['1', '2']) {
        const { prediction, model } = (await ask(host(), 'iris', [1, 2], version)).json();
        assert.deepEqual([prediction, model.version], [[1 + Number(version), 2 + Number(version)], version]);
        const status = (await call(host(), `/models/iris/versions/${version}`)).json();
        assert.deepEqual([status.version, status.state], [version, 'ready']);
      }
    });

    test('names with blanks, dots, slashes and signs answer, percent-encoded', async () => {
      for (const [i, name] of ODD_NAMES.entries()) {
        const answer = await ask(host(), name, [1, 2]);
        assert.equal(answer.status, 200, `${name}: ${answer.text}`);
        assert.deepEqual(answer.json().prediction, [101 + i, 102 + i]);
        assert.deepEqual(answer.json().model, { name, version: '1' });
        const status = await call(host(), `/models/${encodeURIComponent(name)}`);
        assert.deepEqual([status.json().name, status.json().state], [name, 'ready']);
      }
    });

    test('/batch_predict of a named model, and of a version of it', async () => {
      const rows = {
        instances: [
          [0, 0],
          [1, 2],
        ],
      };
      for (const [path, constant] of [
        ['/models/team%20a%2Frose', 102],
        ['/models/iris', 2],
        ['/models/iris/versions/1', 1],
      ] as const) {
        const lines = linesOf(await post(host(), `${path}/batch_predict`, rows));
        assert.deepEqual(
          lines.map(({ prediction }) => prediction),
          [[constant, constant], [constant + 1, constant + 2], undefined],
        );
        assert.deepEqual(lines.at(-1), { done: true, ok: 2, failed: 0 });
      }
    });

    test('what is not there is 404, and says whether it is the model or its version', async () => {
      for (const [path, error] of [
        ['/models/tulip', /^there is no model tulip$/],
        ['/models/tulip/versions/1', /^there is no model tulip$/],
        ['/models/iris/versions/7', /^the model iris has no version 7$/],
        ['/models/team%20a', /^there is no model team a$/],
        ['/models/..%2Frepo%2Firis', /^there is no model \.\.\/repo\/iris$/],
      ] as const) {
        for (const answer of [
          await call(host(), path),
          await post(host(), `${path}/predict`, { features: [1, 2] }),
          await post(host(), `${path}/batch_predict`, { instances: [[1, 2]] }),
        ]) {
          assert.deepEqual([answer.status, answer.json().code], [404, 'NOT_FOUND'], path);
          assert.match(answer.json().error, error);
        }
      }
    });

    test('/models lists what there is', async () => {
      const { models } = (await call(host(), '/models')).json();
      const listed = Object.fromEntries(models.map((one: { name: string }) => [one.name, one]));
      assert.deepEqual(Object.keys(listed).sort(), ['iris', 'plain', ...ODD_NAMES].sort());
      assert.deepEqual(
        listed.iris.versions.map(({ version }: { version: string }) => version),
        ['2', '1'],
      );
      assert.equal(listed.iris.versions[0].state, 'ready');
    });

    test('without MODEL_NAME /predict says which models there are, and each answers by its name', () =>
      withHost(fromBucket(storage(), 'repo'), async (other) => {
        for (const answer of [await predict(other, [1, 2]), await call(other, '/ready')]) {
          assert.deepEqual([answer.status, answer.json().code], [503, 'NOT_READY']);
          assert.match(answer.json().error, NOT_TOLD);
        }
        const names = ['iris', 'plain', ...ODD_NAMES].sort().join(', ');
        const logged = await untilLogged(other, /set MODEL_NAME/);
        assert.ok(
          logged.includes(`holds ${ODD_NAMES.length + 2} models: set MODEL_NAME to one of ${names}, which`),
          logged,
        );
        assert.deepEqual((await ask(other, 'plain', [1, 2])).json().prediction, [51, 52]);
        assert.deepEqual((await ask(other, 'iris', [1, 2])).json().prediction, [3, 4]);
      }));
  });

  describe('a budget', () => {
    test(`${MODELS} models in the memory of ${LOADED}: each answers, and never are there more engines`, () =>
      withStorage(async ({ put, url }) => {
        for (let i = 0; i < MODELS; i++) put(BUCKET, `m${i}/model.onnx`, addConstant(i));
        const env = fromBucket({ url }, '', {
          MODEL_MEMORY_BUDGET: String(LOADED * EACH),
          REQUEST_TIMEOUT_MS: '60000',
        });
        await withHost(env, async (host) => {
          // The one that is started ahead waits for the first model.
          let most = 0;
          async function client(first: number): Promise<void> {
            for (let i = 0; i < MODELS; i++) {
              const number = (first + i * 3) % MODELS;
              const answer = await ask(host, `m${number}`, [1, 2]);
              assert.equal(answer.status, 200, answer.text);
              assert.deepEqual(answer.json().prediction, [number + 1, number + 2]);
              most = Math.max(most, engineProcesses(host).length);
              assert.ok((await metric(host, 'model_memory_bytes')) <= LOADED * EACH);
            }
          }
          await Promise.all([client(0), client(5)]);
          assert.ok(most <= LOADED, `${most} engine processes at once`);
          const unloads = await metric(host, 'model_unloads_total');
          assert.ok(unloads >= MODELS - LOADED, `${unloads} unloads`);
        });
      }));
  });
}
