import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createSharedMemoryRoutes,
  SHARED_MEMORY_PATHS,
} from '../../../../functions/routes/open-inference/triton/shared-memory.ts';
import { call, post } from '../../../helpers/calls.ts';
import { serveOnly } from '../../../helpers/route-host.ts';

test('no region is ever registered: none is listed, none has to go, and none can come', async (t) => {
  const host = await serveOnly(t, createSharedMemoryRoutes());
  for (const path of SHARED_MEMORY_PATHS) {
    for (const place of [path, `${path}/region/a%2Fb`]) {
      const { status, json } = await call(host, `${place}/status`);
      assert.deepEqual([status, json()], [200, []]);
      assert.equal((await post(host, `${place}/unregister`, '')).status, 200);
    }
    const register = await post(host, `${path}/region/a/register`, { key: '/a', byte_size: 8 });
    assert.deepEqual([register.status, register.json().code], [501, 'UNSUPPORTED']);
  }
});
