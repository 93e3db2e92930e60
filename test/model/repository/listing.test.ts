import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLayout } from '../../../functions/model/folder/layout.ts';
import { Listing } from '../../../functions/model/repository/listing.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const NOTHING = { crc32c: undefined, md5: undefined, gzip: false };
const entry = (path: string) => ({ path, bytes: 1, stamp: '1', modifiedAt: 0, ...NOTHING });

/** A store whose listings are counted. */
function setUp(paths: readonly string[]) {
  const telemetry = recordTelemetry();
  let listings = 0;
  let broken = false;
  const listing = new Listing(
    {
      local: false,
      async list() {
        listings++;
        if (broken) throw new Error('no route to the bucket');
        return readLayout('gs://b', paths.map(entry));
      },
    },
    telemetry.logger,
  );
  return {
    listing,
    lines: telemetry.lines,
    listings: () => listings,
    breakDown: () => {
      broken = true;
    },
  };
}

test('one listing serves all concurrent requests, and those of the next seconds', async () => {
  const { listing, listings } = setUp(['a/model.onnx']);
  assert.equal(listing.latest(), undefined);
  const [one, other] = await Promise.all([listing.current(), listing.current()]);
  assert.equal(one, other);
  assert.equal(await listing.current(), one);
  assert.equal(listing.latest(), one);
  assert.equal(listings(), 1);
  await listing.refresh();
  assert.equal(listings(), 2);
});

test('a store that cannot be listed is NOT_READY, and is not listed again at once; the latest listing stays', async () => {
  const { listing, listings, breakDown, lines } = setUp(['a/model.onnx']);
  const before = await listing.current();
  breakDown();
  const message = "the models cannot be listed: the server's log says why";
  const expected = { code: 'NOT_READY', message, detail: 'no route to the bucket' };
  await assert.rejects(listing.refresh(), expected);
  await assert.rejects(listing.refresh(), expected);
  assert.equal(listings(), 2);
  assert.equal(await listing.current(), before);
  assert.deepEqual(
    lines.map((line) => line.message),
    ['the models cannot be listed: no route to the bucket'],
  );
});

test('an incomplete upload is logged once', async () => {
  const { listing, lines } = setUp(['a/1/model.onnx', 'a/2/model.json']);
  listing.onListed(await listing.refresh());
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['gs://b/a/2 has files, but no model.onnx: it is ignored'],
  );
});
