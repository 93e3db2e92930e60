import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLogSettingsRoutes } from '../../../../functions/routes/open-inference/triton/log-settings.ts';
import type { Level } from '../../../../functions/telemetry/log/logger.ts';
import { call, post } from '../../../helpers/calls.ts';
import { serveOnly } from '../../../helpers/route-host.ts';
import { recordTelemetry } from '../../../helpers/telemetry.ts';

const INITIAL = {
  log_file: '',
  log_info: true,
  log_warning: true,
  log_error: true,
  log_verbose_level: 0,
  log_format: 'default',
};

async function start(t: TestContext, levels?: readonly Level[]) {
  const telemetry = recordTelemetry();
  if (levels !== undefined) telemetry.logger.setLevels(levels);
  const { logger } = telemetry;
  const host = await serveOnly(t, createLogSettingsRoutes({ logger }), telemetry);
  return {
    logger,
    show: async () => (await call(host, '/v2/logging')).json(),
    change: (settings: unknown) => post(host, '/v2/logging', settings),
  };
}

test('settings are the levels of the log', async (t) => {
  const { logger, show, change } = await start(t);
  assert.deepEqual(await show(), INITIAL);
  const answer = await change({ log_info: false, log_error: false, log_verbose_level: 2, log_format: 'ISO8601' });
  const expected = { ...INITIAL, log_info: false, log_error: false, log_verbose_level: 2, log_format: 'ISO8601' };
  assert.deepEqual([answer.status, answer.json()], [200, expected]);
  assert.deepEqual([...logger.levels()].sort(), ['critical', 'debug', 'warning']);
  await change({ log_info: true, log_error: true, log_verbose_level: 0, log_format: 'default' });
  assert.deepEqual(await show(), INITIAL);
  assert.deepEqual([...logger.levels()].sort(), ['critical', 'error', 'info', 'warning']);
});

test('a server that was started with LOG_LEVEL=debug is verbose', async (t) => {
  const { show } = await start(t, ['critical', 'error', 'warning', 'info', 'debug']);
  assert.equal((await show()).log_verbose_level, 1);
});

test('null and what is no setting change nothing', async (t) => {
  const { show, change } = await start(t);
  const none = Object.fromEntries(Object.keys(INITIAL).map((name) => [name, null]));
  for (const settings of [none, {}, { log_warnings: false, other: 1 }, { log_file: '' }]) {
    assert.equal((await change(settings)).status, 200, JSON.stringify(settings));
  }
  assert.deepEqual(await show(), INITIAL);
});

test('where one setting cannot be changed none is', async (t) => {
  const { show, change } = await start(t);
  for (const [wrong, status, path] of [
    [{ log_error: 'yes' }, 400, 'log_error'],
    [{ log_verbose_level: 1.5 }, 400, 'log_verbose_level'],
    [{ log_verbose_level: 2 ** 32 }, 400, 'log_verbose_level'],
    [{ log_format: 'iso' }, 400, 'log_format'],
    [{ log_file: 'here' }, 501, 'log_file'],
  ] as const) {
    const answer = await change({ log_info: false, log_format: 'ISO8601', ...wrong });
    assert.deepEqual([answer.status, answer.json().path], [status, path]);
    assert.deepEqual(await show(), INITIAL);
  }
  assert.equal((await change([1])).status, 400);
});

test('settings are changed with the admin token alone, and shown to everybody', () => {
  const routes = createLogSettingsRoutes(recordTelemetry());
  assert.deepEqual(
    routes.map(({ method, admin }) => [method, admin]),
    [
      ['GET', undefined],
      ['POST', true],
    ],
  );
});
