import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ask, BUCKET, fromBucket, readsOf, useStorage } from '../../helpers/bucket.ts';
import { NOT_TOLD, untilLogged, useHost } from '../../helpers/hosts.ts';
import { summed } from '../../helpers/models.ts';
import type { Fault } from '../../helpers/storage-faults.ts';
import { until } from '../../helpers/until.ts';

const BYTES = 2 ** 21;
/** More than one range of it is read at once. */
const LARGE_BYTES = 34 * 2 ** 20;

interface Case {
  readonly title: string;
  /** In the order in which they hit the reads of the object, which has so many bytes. */
  readonly faults: (bytes: number, next: Uint8Array) => Fault[];
  /** What is answered before the prediction is; else the first request already gets that. */
  readonly error?: RegExp;
  /** The upload that comes in mid-read serves. */
  readonly replaced?: boolean;
  readonly gzip?: boolean;
  readonly large?: boolean;
}

const PERMISSION =
  /403 .*this takes storage\.objects\.get; give the service account .* the role roles\/storage\.objectViewer/;
const CREDENTIALS = /the credentials were not accepted \(401 /;
const STATUSES: readonly [status: number, error?: RegExp][] = [
  [401, CREDENTIALS],
  [403, PERMISSION],
  [404],
  [408],
  [429],
  [500],
  [503],
];

/** The read is cut in the middle, and what is asked for next is the rest. */
const cut = (bytes: number): Fault => ({ type: 'reset', at: bytes >> 1 });

const CASES: readonly Case[] = [
  { title: 'no fault', faults: () => [] },
  // At the start and at the end: test/model/sources/gcs/read-object.test.ts.
  { title: 'latency at its middle', faults: (bytes) => [{ type: 'delay', ms: 300, at: bytes >> 1 }] },
  { title: 'a reset at its middle', faults: (bytes) => [cut(bytes)] },
  { title: 'one flipped bit at its middle', faults: (bytes) => [{ type: 'flip', at: bytes >> 1 }] },
  { title: 'an answer cut short at its middle', faults: (bytes) => [{ type: 'short', at: bytes >> 1 }] },
  {
    title: 'a new upload at its middle',
    faults: (bytes, next) => [{ type: 'replace', at: bytes >> 1, bytes: next }],
    replaced: true,
  },
  ...STATUSES.map(([status, error]) => ({
    title: `${status} at its middle`,
    faults: (bytes: number): Fault[] => [
      cut(bytes),
      { type: 'status', status, ...(status === 429 && { retryAfter: '1' }) },
    ],
    ...(error && { error }),
  })),
  { title: 'a reset before the answer', faults: () => [{ type: 'reset' }] },
  { title: 'a byte too many', faults: () => [{ type: 'long', extra: 1 }] },
  { title: 'twice the bytes', faults: () => [{ type: 'long', extra: BYTES }] },
  { title: 'bytes too many behind a resumed read', faults: (b) => [cut(b), { type: 'long', extra: 9 }] },
  { title: 'a Range that is ignored', faults: (bytes) => [cut(bytes), { type: 'ignore-range' }] },
  {
    title: 'a bit flipped three times over',
    faults: (bytes) => [{ type: 'flip', at: bytes >> 1, times: 3 }],
    error:
      /model\.onnx did not arrive as it was uploaded, 3 times over: its CRC32C is [0-9a-f]{8}, that of the object is/,
  },
  {
    title: 'a service that stays away',
    faults: () => [{ type: 'status', status: 503, times: 6 }],
    error: /model\.onnx: 503 Injected fault 503 \(after 6 attempts\)/,
  },
  { title: 'a compressed object', faults: () => [], gzip: true },
  { title: 'a compressed object, cut', faults: (bytes) => [cut(bytes)], gzip: true },
  { title: 'a compressed object, one flipped bit', faults: (b) => [{ type: 'flip', at: b >> 1 }], gzip: true },
  { title: 'a compressed object, cut short', faults: (b) => [{ type: 'short', at: b >> 1 }], gzip: true },
  { title: 'one of several ranges, cut', faults: (bytes) => [cut(bytes)], large: true },
  { title: 'the last of several ranges, one flipped bit', faults: (b) => [{ type: 'flip', at: b - 9 }], large: true },
];

const nameOf = (index: number): string => `case-${index}`;

/** What goes wrong while an object is read: the prediction is right, or the answer says why there is none. */
export function mediaFaults(): void {
  describe('while a model is read from a bucket', { concurrency: 6 }, () => {
    const storage = useStorage({}, ({ put, inject }) => {
      put(BUCKET, 'main/model.onnx', summed(0, 8));
      for (const [i, { faults, gzip, large }] of CASES.entries()) {
        const name = `${nameOf(i)}/model.onnx`;
        const model = summed(i, large ? LARGE_BYTES : BYTES);
        const stored = gzip ? gzipSync(model, { level: 1 }) : model;
        put(BUCKET, name, stored, gzip ? { contentEncoding: 'gzip' } : {});
        for (const fault of faults(stored.length, summed(i + 1000, BYTES))) inject({ ...fault, kind: 'media', name });
      }
    });
    // Room for a few: the rest is let go of, one after the other.
    const host = useHost('container', () =>
      fromBucket(storage(), '', { MODEL_NAME: 'main', MODEL_MEMORY_BUDGET: String(2 ** 30) }),
    );

    for (const [i, { title, faults, error, replaced }] of CASES.entries()) {
      test(`${title}: ${error === undefined ? '' : 'says so, and the next load '}predicts right`, async () => {
        const constant = replaced ? i + 1000 : i;
        if (error !== undefined) {
          const refused = await ask(host(), nameOf(i), [1, 2]);
          assert.deepEqual([refused.status, refused.json().code], [503, 'NOT_READY']);
          assert.match(refused.json().error, NOT_TOLD);
          await untilLogged(host(), error);
          assert.ok(Number(refused.headers.get('retry-after')) >= 1);
        }
        const answer = await until(async () => {
          const given = await ask(host(), nameOf(i), [1, 2]);
          // In its pause after a failed load it gives the same reason.
          return (error === undefined || given.status !== 503) && given;
        }, 'the model to be loaded anew');
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json().prediction, [constant + 1, constant + 2]);
        const hits = faults(BYTES, new Uint8Array()).reduce((sum, { times = 1 }) => sum + times, 0);
        assert.ok(readsOf(storage(), `${nameOf(i)}/model.onnx`).length >= hits, 'not every fault has hit');
      });
    }
  });
}
