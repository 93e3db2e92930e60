import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, BUCKET, fromBucket, LONG_AGO, untilReady, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, metric, predict } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';
import { addConstant } from '../../helpers/models.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import type { LoggedRequest, StorageServer } from '../../helpers/storage-server.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

const EVERY_SECOND = { MODEL_REFRESH_SECONDS: '1' };
const CONNECTIONS = 4;
/** Between two requests of a connection. */
const PAUSE_MS = 50;

const manifestOf = (version: number): Uint8Array => Buffer.from(JSON.stringify({ name: 'iris', version }));
const swaps = (host: Host): Promise<number> => metric(host, 'model_refreshes_total', { outcome: 'swapped' });

/**
 * Uploads one object, and the other right after the server has listed the first alone twice: to find it, and to prepare it.
 * @returns the requests from then on.
 */
function uploadHalves(
  storage: StorageServer,
  [first, half]: readonly [name: string, bytes: Uint8Array],
  [second, content]: readonly [name: string, bytes: Uint8Array],
): () => LoggedRequest[] {
  const before = storage.requests.length;
  // However late the server lists it, it is new enough to be one half of an upload.
  storage.put(BUCKET, first, half, { updated: new Date(Date.now() + 3_600_000).toISOString() });
  storage.inject({ type: 'delay', ms: 0, kind: 'list' });
  storage.inject({ type: 'upload', kind: 'list', object: second, content });
  return () => storage.requests.slice(before);
}

/**
 * One client: sends requests until `over`, and one more that begins after it.
 * @returns the versions that responded, each once, in their order.
 */
async function client(host: Host, over: AbortSignal): Promise<string[]> {
  const versions: string[] = [];
  for (let last = false; !last; ) {
    last = over.aborted;
    const { status, json, text } = await predict(host, [10, 20]);
    assert.equal(status, 200, text);
    const { prediction, model } = json();
    const constant = Number(model.version);
    assert.deepEqual(prediction, [10 + constant, 20 + constant], `version ${model.version} gave another's answer`);
    if (versions.at(-1) !== model.version) versions.push(model.version);
    if (!last) await pause(PAUSE_MS);
  }
  return versions;
}

/** Newer models in the bucket of a server that is at work. */
export function swapping(): void {
  describe('a newer model', { concurrency: 4 }, () => {
    test('an upload of two objects, one well after the other, is swapped in under load, and never mixed', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, 'iris/model.onnx', addConstant(1));
        storage.put(BUCKET, 'iris/model.json', manifestOf(1));
        await withHost(fromBucket(storage, 'iris', EVERY_SECOND), async (host) => {
          await untilReady(host);
          const over = new AbortController();
          const clients = Promise.all(Array.from({ length: CONNECTIONS }, () => client(host, over.signal)));
          const served = async (version: number): Promise<unknown> =>
            until(
              async () => (await predict(host, [0, 0])).json().model.version === String(version),
              'it',
              BACKGROUND_MS,
            );

          async function upload(): Promise<void> {
            for (const version of [2, 3]) {
              const model = ['iris/model.onnx', addConstant(version)] as const;
              const manifest = ['iris/model.json', manifestOf(version)] as const;
              const requests =
                version === 2 ? uploadHalves(storage, model, manifest) : uploadHalves(storage, manifest, model);
              await served(version);
              const kinds = requests().map(({ kind }) => kind);
              assert.deepEqual(kinds.slice(0, 3), ['list', 'list', 'list'], 'half of an upload was read');
            }
          }

          await Promise.race([upload(), clients]).finally(() => over.abort());
          // A client of a busy machine may send nothing while the second serves.
          for (const versions of await clients) {
            assert.deepEqual(versions, versions.toSorted());
            assert.equal(versions.at(-1), '3');
          }
          assert.equal(await swaps(host), 2);
          assert.equal(await metric(host, 'model_refreshes_total', { outcome: 'failed' }), 0);
        });
      }));

    test('a new version folder is taken, of the model behind /predict and of one that is asked for by name', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, 'iris/1/model.onnx', addConstant(1));
        storage.put(BUCKET, 'rose/9/model.onnx', addConstant(9));
        await withHost(fromBucket(storage, '', { ...EVERY_SECOND, MODEL_NAME: 'iris' }), async (host) => {
          await untilReady(host);
          assert.deepEqual((await ask(host, 'rose', [0, 0])).json().model, { name: 'rose', version: '9' });
          assert.equal((await ask(host, 'iris', [0, 0], '2')).status, 404);
          storage.put(BUCKET, 'iris/2/model.onnx', addConstant(2));
          storage.put(BUCKET, 'rose/10/model.onnx', addConstant(10));
          // A folder without a model is none, whatever its number.
          storage.put(BUCKET, 'iris/3/model.json', manifestOf(3));
          for (const [name, version] of [
            ['iris', 2],
            ['rose', 10],
          ] as const) {
            const { prediction, model } = await until(
              async () => {
                const answer = (await ask(host, name, [0, 0])).json();
                return answer.model.version === String(version) && answer;
              },
              `version ${version} of ${name}`,
              BACKGROUND_MS,
            );
            assert.deepEqual([prediction, model.name], [[version, version], name]);
          }
          assert.deepEqual((await predict(host, [0, 0])).json().model, { name: 'iris', version: '2' });
          assert.deepEqual((await ask(host, 'iris', [0, 0], '1')).json().prediction, [1, 1]);
          assert.ok(host.lines.some((line) => line.includes('/iris/3 has files, but no model.onnx')));
        });
      }));

    test('a stream that is under way at the swap is answered to its end by the version that it began with', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, 'iris/model.onnx', addConstant(1), LONG_AGO);
        await withHost(fromBucket(storage, 'iris', EVERY_SECOND), async (host) => {
          await untilReady(host);
          const row = '{"features":[10,20]}\n';
          const rows = 12;
          const connection = connect(host);
          const headers = { 'content-type': 'application/x-ndjson', 'content-length': String(row.length * rows) };
          connection.send(postText('/batch_predict', row.repeat(3), headers));
          let answered = await connection.text('"index":2,');
          storage.put(BUCKET, 'iris/model.onnx', addConstant(2), LONG_AGO);
          await until(async () => (await predict(host, [0, 0])).json().prediction[0] === 2, 'the swap', BACKGROUND_MS);
          connection.send(row.repeat(rows - 3));
          answered += await connection.text('"failed":0}');
          connection.destroy();
          assert.match(answered, new RegExp(`\\{"done":true,"ok":${rows},"failed":0\\}$`));
          assert.deepEqual(answered.match(/"prediction":\[[^\]]*\]/g), Array(rows).fill('"prediction":[11,21]'));
          // Its engine goes with it.
          const ended = async (): Promise<boolean> => host.lines.some((line) => line.includes('a new version serves'));
          await until(ended, 'the line of the log');
          assert.equal((await call(host, '/ready')).status, 200);
        });
      }));
  });
}
