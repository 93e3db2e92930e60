import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLayout } from '../../../functions/model/folder/layout.ts';
import { MemoryBudget } from '../../../functions/model/memory-budget.ts';
import { Listing } from '../../../functions/model/repository/listing.ts';
import { ModelSet } from '../../../functions/model/repository/model-set.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const MOST = 2000;

test('requests that name every version of a large repository are refused beyond 2000, until a minute has passed', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const telemetry = recordTelemetry();
  const file = { bytes: 1, stamp: '1', crc32c: undefined, md5: undefined, gzip: false, modifiedAt: 0 };
  const layout = readLayout(
    '/m',
    Array.from({ length: MOST + 2 }, (_, i) => ({ ...file, path: `a/${i}/model.onnx` })),
  );
  const store = { local: true, list: async () => layout };
  const set = new ModelSet({
    defaultName: 'main',
    sha256: undefined,
    loadsOnRequest: () => true,
    listing: new Listing(store, telemetry.logger),
    shared: { store, budget: new MemoryBudget(undefined), telemetry, inLoadTurn: () => {} } as never,
  });
  for (let i = 0; i < MOST; i++) set.get(layout, 'a', String(i));
  assert.throws(() => set.get(layout, 'a', String(MOST)), {
    code: 'NOT_READY',
    retryAfter: 60,
    message: 'requests have named 2000 models and versions in the last minute: try again in a minute',
  });
  assert.ok(set.get(layout, 'a', '0'), 'one that is known is found');
  now = 60_001;
  assert.ok(set.get(layout, 'a', String(MOST)));
  assert.equal(set.all().length, 2);
});
