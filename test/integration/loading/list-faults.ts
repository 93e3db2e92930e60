import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, BUCKET, fromBucket, listings, useStorage } from '../../helpers/bucket.ts';
import { untilLogged, useHost } from '../../helpers/hosts.ts';
import { addConstant } from '../../helpers/models.ts';
import type { Fault } from '../../helpers/storage-faults.ts';
import type { StorageServer } from '../../helpers/storage-server.ts';
import { until } from '../../helpers/until.ts';

/** @param middle a byte in the middle of the listing's JSON; @param end its last one. */
type MakeFault = (middle: number, end: number) => Fault;

const CASES: readonly (readonly [title: string, fault: MakeFault, error?: RegExp])[] = [
  ['latency', () => ({ type: 'delay', ms: 300 })],
  ['latency in the middle', (at) => ({ type: 'delay', ms: 300, at })],
  ['401', () => ({ type: 'status', status: 401 }), /gs:\/\/models: the credentials were not accepted \(401 /],
  [
    '403',
    () => ({ type: 'status', status: 403 }),
    /gs:\/\/models: not allowed \(403 .*this takes storage\.objects\.list/,
  ],
  ['404', () => ({ type: 'status', status: 404 }), /gs:\/\/models: there is no bucket models: check the name/],
  ['429', () => ({ type: 'status', status: 429, retryAfter: '1' })],
  ['503', () => ({ type: 'status', status: 503 })],
  ['a reset in the middle', (at) => ({ type: 'reset', at })],
  ['an empty answer', () => ({ type: 'short', at: 0 })],
  ['half an answer', (at) => ({ type: 'short', at })],
  ['an answer without its last byte', (_, at) => ({ type: 'short', at })],
  ['bytes behind the answer', () => ({ type: 'long', extra: 7 })],
  ['one flipped bit at its start', () => ({ type: 'flip', at: 0 })],
  ['one flipped bit at its end', (_, at) => ({ type: 'flip', at })],
];

/** What is held against what is read. */
const FIELDS = ['generation', 'size', 'crc32c'] as const;

const nameOf = (index: number): string => `case-${index}`;

/** The listing of one model's folder, which is all that its load lists. */
async function listing({ url }: StorageServer, name: string): Promise<string> {
  return (await fetch(`${url}/b/${BUCKET}/o?prefix=${name}/`)).text();
}

/** What goes wrong while the bucket is listed. */
export function listFaults(): void {
  // One after the other: a listing does not say whose it is.
  describe('while a bucket is listed', { concurrency: 1 }, () => {
    const storage = useStorage({}, ({ put }) => {
      put(BUCKET, 'main/model.onnx', addConstant(0));
      for (const i of CASES.keys()) put(BUCKET, `${nameOf(i)}/model.onnx`, addConstant(i));
      for (const field of FIELDS) put(BUCKET, `${field}/model.onnx`, addConstant(100));
    });
    const host = useHost('container', () =>
      fromBucket(storage(), '', { MODEL_NAME: 'main', MODEL_MEMORY_BUDGET: String(2 ** 29) }),
    );

    for (const [i, [title, makeFault, error]] of CASES.entries()) {
      test(`${title}: ${error === undefined ? '' : 'says so, and the next load '}predicts right`, async () => {
        const { length } = await listing(storage(), nameOf(i));
        const before = listings(storage()).length;
        storage().inject({ ...makeFault(length >> 1, length - 1), kind: 'list' });
        if (error !== undefined) {
          const refused = await ask(host(), nameOf(i), [1, 2]);
          assert.equal(refused.status, 503);
          assert.equal(refused.json().error, "the models cannot be listed: the server's log says why");
          await untilLogged(host(), error);
        }
        const answer = await until(async () => {
          const given = await ask(host(), nameOf(i), [1, 2]);
          return (error === undefined || given.status !== 503) && given;
        }, 'the model to be loaded anew');
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json().prediction, [i + 1, i + 2]);
        const listed = listings(storage()).length - before;
        assert.equal(listed, title.startsWith('latency') ? 1 : 2);
      });
    }

    for (const field of FIELDS) {
      test(`a bit of an object's ${field} is another: never a wrong prediction`, async () => {
        const listed = await listing(storage(), field);
        const own = listed.indexOf(`"name":"${field}/model.onnx"`);
        const at = listed.indexOf(`"${field}":"`, own) + field.length + 4;
        assert.ok(own > 0 && at > own);
        const before = listings(storage()).length;
        storage().inject({ type: 'flip', at, kind: 'list' });
        const answer = await until(async () => {
          const given = await ask(host(), field, [1, 2]);
          return given.status === 200 && given;
        }, 'a prediction');
        assert.deepEqual(answer.json().prediction, [101, 102]);
        assert.ok(listings(storage()).length >= before + 2, 'the listing was believed');
      });
    }
  });
}
