import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUCKET, fromBucket, readsOf, untilReady, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, predict } from '../../helpers/calls.ts';
import { type Host, NOT_TOLD, untilLogged } from '../../helpers/hosts.ts';
import { summed } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

const BYTES = 2 ** 21;
const OBJECT = 'iris/model.onnx';

/** How many times a service refuses: while it does, what is said of it can be read. */
const TIMES = 2;

/** The errors of a bucket one by one: test/model/sources/gcs/errors.test.ts. */
const NOT_ALLOWED =
  /^the model did not load: gs:\/\/models\/iris: not allowed \(403 .*\): this takes storage\.objects\.list; give the service account that the server runs as the role roles\/storage\.objectViewer on gs:\/\/models$/;

const MISSING: readonly (readonly [title: string, uri: string, error: RegExp])[] = [
  ['no such object', 'gs://models/iris/other.onnx', /gs:\/\/models\/iris\/other\.onnx: no such object in the bucket/],
  ['no address of a bucket', 'gs://No_Bucket/x', /"gs:\/\/No_Bucket\/x" is not of the form gs:\/\/bucket, /],
];

/** What the log says of a load that failed, which /ready and /predict do not. */
async function reason(host: Host): Promise<string> {
  const ready = await until(async () => {
    const answer = await call(host, '/ready');
    return !/: loading/.test(answer.text) && answer;
  }, 'the end of the load');
  const refused = await predict(host, [1, 2]);
  assert.deepEqual([ready.status, ready.json().code], [503, 'NOT_READY']);
  assert.deepEqual([refused.status, refused.json().code], [503, 'NOT_READY']);
  assert.match(ready.json().error, NOT_TOLD);
  assert.match(refused.json().error, NOT_TOLD);
  assert.equal((await call(host, '/health')).status, 200);
  return untilLogged(host, /^the model did not load: /);
}

/** A server whose bucket is not as it should be when it starts. */
export function booting(): void {
  describe('a start', { concurrency: 4 }, () => {
    test('a model that stalls half-way: the server gives it up after 10 s, and serves', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, OBJECT, summed(5, BYTES));
        storage.inject({ type: 'stall', kind: 'media', at: BYTES >> 1 });
        await withHost(fromBucket(storage, 'iris'), async (host) => {
          const { json } = await predict(host, [1, 2]);
          assert.deepEqual(json().prediction, [6, 7]);
          const [line] = host.lines.filter((text) => text.includes('no byte for 10 s'));
          assert.match(line ?? '', /"severity":"WARNING","message":"retrying a read of the bucket/);
        });
      }));

    test('a server that may not list the bucket says what it needs, and serves once it has that', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, OBJECT, summed(5, BYTES));
        storage.inject({ type: 'status', status: 403, kind: 'list', times: TIMES });
        await withHost(fromBucket(storage, 'iris'), async (host) => {
          assert.match(await reason(host), NOT_ALLOWED);
          await untilReady(host);
          assert.deepEqual((await predict(host, [1, 2])).json().prediction, [6, 7]);
        });
      }));

    for (const [title, uri, error] of MISSING) {
      test(`${title}: it says so, and stays up`, () =>
        withStorage(async (storage) => {
          storage.put(BUCKET, OBJECT, summed(5, 100));
          await withHost(fromBucket(storage, '', { MODEL_URI: uri }), async (host) => {
            assert.match(await reason(host), error);
          });
        }));
    }

    test('the folder that Vertex AI names goes before MODEL_URI, with a slash at its end or not', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, OBJECT, summed(5, 100));
        for (const uri of [`gs://${BUCKET}/iris`, `gs://${BUCKET}/iris/`]) {
          await withHost(fromBucket(storage, 'rose', { AIP_STORAGE_URI: uri }), async (host) => {
            await untilReady(host);
            assert.deepEqual((await predict(host, [1, 2])).json().prediction, [6, 7]);
          });
        }
      }));

    test('a model that is uploaded after the start serves', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, 'other', Buffer.from('none'));
        await withHost(fromBucket(storage, 'iris'), async (host) => {
          assert.match(await reason(host), /no such folder/);
          storage.put(BUCKET, OBJECT, summed(5, 100));
          await untilReady(host);
          assert.deepEqual((await predict(host, [1, 2])).json().prediction, [6, 7]);
          assert.equal(readsOf(storage, OBJECT).length, 1);
        });
      }));
  });
}
