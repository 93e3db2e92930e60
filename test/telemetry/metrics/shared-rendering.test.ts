import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { shareRendering } from '../../../functions/telemetry/metrics/shared-rendering.ts';

/** Renderings that take so many milliseconds each, by clocks that stand still in between. */
function start(t: TestContext, takesMs: number) {
  const clock = { ms: 0, cpuMs: 0, broken: false };
  t.mock.method(performance, 'now', () => clock.ms);
  t.mock.method(process, 'threadCpuUsage', () => ({ user: clock.cpuMs * 900, system: clock.cpuMs * 100 }));
  let renderings = 0;
  const render = shareRendering(async () => {
    clock.ms += takesMs;
    clock.cpuMs += takesMs;
    if (clock.broken) throw new Error('not now');
    return ++renderings;
  });
  return { clock, render, renderings: () => renderings };
}

test('scrapes at the same time share one rendering', async (t) => {
  const { render } = start(t, 3);
  assert.deepEqual(await Promise.all([render(), render(), render()]), [1, 1, 1]);
});

test('occasional scrapes each get a rendering of their own', async (t) => {
  const { clock, render } = start(t, 3);
  for (let i = 1; i <= 100; i++) {
    assert.equal(await render(), i);
    clock.ms += 100;
  }
});

test('a few scrapes in a row each get a rendering of their own, even when the first took long', async (t) => {
  const { render } = start(t, 3);
  assert.deepEqual([await render(), await render(), await render()], [1, 2, 3]);
  const slow = start(t, 400);
  assert.deepEqual([await slow.render(), await slow.render()], [1, 2]);
});

test('endless scraping takes a tenth of the time of the thread', async (t) => {
  const { clock, render } = start(t, 3);
  while (clock.ms < 60_000) {
    await render();
    clock.ms += 1;
  }
  const share = clock.cpuMs / clock.ms;
  assert.ok(share > 0.09 && share < 0.13, `${share} of the time`);
});

test('a rendering is not returned again after a second', async (t) => {
  const { render } = start(t, 10_000);
  // Each began ten seconds before the next.
  assert.deepEqual([await render(), await render(), await render()], [1, 2, 3]);
});

test('a rendering that failed is not returned again', async (t) => {
  const { clock, render } = start(t, 500);
  clock.broken = true;
  await assert.rejects(render(), /not now/);
  await assert.rejects(render(), /not now/);
  clock.broken = false;
  assert.equal(await render(), 1);
});
