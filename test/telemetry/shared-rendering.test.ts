import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { shareRendering } from '../../functions/telemetry/shared-rendering.ts';

/** Renderings that take so many milliseconds each, by a clock that stands still in between. */
function start(t: TestContext, takesMs: number) {
  const clock = { ms: 0 };
  t.mock.method(performance, 'now', () => clock.ms);
  let renderings = 0;
  const render = shareRendering(async () => {
    clock.ms += takesMs;
    return ++renderings;
  });
  return { clock, render, renderings: () => renderings };
}

test('those who ask at the same time share one rendering', async (t) => {
  const { render } = start(t, 3);
  assert.deepEqual(await Promise.all([render(), render(), render()]), [1, 1, 1]);
});

test('whoever asks now and then gets a rendering of his own', async (t) => {
  const { clock, render } = start(t, 3);
  for (let i = 1; i <= 100; i++) {
    assert.equal(await render(), i);
    clock.ms += 100;
  }
});

test('renderings take a tenth of the time, however many ask', async (t) => {
  const { clock, render, renderings } = start(t, 3);
  while (clock.ms < 20_000) {
    await render();
    clock.ms += 1;
  }
  const share = (renderings() * 3) / clock.ms;
  assert.ok(share > 0.09 && share < 0.11, `${share} of the time`);
});

test('a rendering is never given for longer than a second', async (t) => {
  const { clock, render } = start(t, 10_000);
  assert.equal(await render(), 1);
  clock.ms += 1;
  // It began ten seconds ago.
  assert.equal(await render(), 2);
});

test('a rendering that fails is not given again', async (t) => {
  const clock = { ms: 0 };
  t.mock.method(performance, 'now', () => clock.ms);
  let broken = true;
  const render = shareRendering(async () => {
    clock.ms += 500;
    if (broken) throw new Error('not now');
    return 'text';
  });
  await assert.rejects(render(), /not now/);
  broken = false;
  assert.equal(await render(), 'text');
});
