import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../../../scripts/conformance/http.ts';
import { watchStartup } from '../../../scripts/conformance/startup.ts';

const answer = (status: number): Answer => ({ status, headers: {}, bytes: new Uint8Array(), text: `${status}` });

/** Gives these for `/v2/health/ready` in turn: 0 is no connection. */
function server(...ready: number[]) {
  let asked = 0;
  return async ({ path }: { path: string }): Promise<Answer> => {
    const status = ready[Math.min(asked, ready.length - 1)]!;
    if (path === '/v2/health/ready') asked++;
    else if (status === 0) asked++;
    if (status === 0) throw new Error('ECONNREFUSED');
    return answer(path === '/v2/health/live' ? 200 : status);
  };
}

test('the responses from the first one to the first 200 are kept', async () => {
  const { before, ready } = await watchStartup(server(0, 0, 503, 503, 200), 'm', 5000);
  assert.deepEqual(
    [before.live, before.ready, before.model].map((answers) => answers.map(({ status }) => status)),
    [
      [200, 200],
      [503, 503],
      [503, 503],
    ],
  );
  assert.equal(ready.status, 200);
});

test('a server that is never ready, or ends, is an error', async () => {
  await assert.rejects(watchStartup(server(503), 'm', 30), /not ready after 30 ms: its last answer was 503/);
  await assert.rejects(watchStartup(server(0), 'm', 30), /its last answer was nothing/);
  await assert.rejects(watchStartup(server(503, 0), 'm', 5000), /went away while it started: ECONNREFUSED/);
});
