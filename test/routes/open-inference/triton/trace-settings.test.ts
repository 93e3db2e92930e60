import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTraceSettingsRoutes } from '../../../../functions/routes/open-inference/triton/trace-settings.ts';
import { createTracer } from '../../../../functions/routes/open-inference/triton/tracer.ts';
import { call, post } from '../../../helpers/calls.ts';
import { stubGeneration } from '../../../helpers/generation-stub.ts';
import { serveOnly } from '../../../helpers/route-host.ts';
import { recordTelemetry } from '../../../helpers/telemetry.ts';

const INITIAL = { trace_level: ['OFF'], trace_rate: '1000', trace_count: '-1', log_frequency: '0', trace_file: '' };

async function start(t: TestContext) {
  const { repository } = stubGeneration({ signature: { inputs: [], outputs: [] } });
  const tracer = createTracer(recordTelemetry().logger);
  const host = await serveOnly(t, createTraceSettingsRoutes({ repository, tracer }));
  const place = (model: string | undefined): string =>
    `/v2${model === undefined ? '' : `/models/${model}`}/trace/setting`;
  return {
    tracer,
    show: async (model?: string) => (await call(host, place(model))).json(),
    change: (settings: unknown, model?: string) => post(host, place(model), settings),
    get: (model: string) => call(host, place(model)),
  };
}

test('a change is answered with the new settings, numbers as texts as Triton writes them', async (t) => {
  const { show, change } = await start(t);
  assert.deepEqual(await show(), INITIAL);
  const answer = await change({ trace_level: ['TIMESTAMPS'], trace_rate: '5', trace_count: 7 });
  const changed = { ...INITIAL, trace_level: ['TIMESTAMPS'], trace_rate: '5', trace_count: '7' };
  assert.deepEqual([answer.status, answer.json()], [200, changed]);
  assert.deepEqual(await show(), changed);
  assert.deepEqual(await show('m'), changed);
});

test('a change for one model leaves the others; null removes it', async (t) => {
  const { show, change } = await start(t);
  assert.deepEqual((await change({ trace_rate: '5' }, 'm')).json(), { ...INITIAL, trace_rate: '5' });
  assert.deepEqual(await show(), INITIAL);
  assert.deepEqual((await change({ trace_rate: null }, 'm')).json(), INITIAL);
});

test('a request without a body changes nothing, and shows the settings', async (t) => {
  const { change } = await start(t);
  const answer = await change('');
  assert.deepEqual([answer.status, answer.json()], [200, INITIAL]);
});

test('a change that is refused changes nothing', async (t) => {
  const { show, change } = await start(t);
  for (const [settings, status] of [
    [{ trace_rate: '5', trace_count: 'x' }, 400],
    [['trace_rate'], 400],
    [{ trace_rate: '5', trace_file: '/tmp/trace' }, 501],
  ] as const) {
    assert.equal((await change(settings, 'm')).status, status);
    assert.deepEqual([await show(), await show('m')], [INITIAL, INITIAL]);
  }
});

test('settings of a model that is not there are neither shown nor kept', async (t) => {
  const { tracer, change, get } = await start(t);
  for (const answer of [await get('n'), await change({ trace_rate: '5' }, 'n')]) {
    assert.deepEqual([answer.status, answer.json().error], [404, "Request for unknown model: 'n' is not found"]);
  }
  assert.deepEqual(tracer.show('n'), INITIAL);
});

test('a change needs the admin token, and the settings are shown without it', () => {
  assert.deepEqual(
    createTraceSettingsRoutes({} as never).map(({ method, path, admin }) => `${method} ${path} ${admin === true}`),
    [
      'GET /v2/trace/setting false',
      'POST /v2/trace/setting true',
      'GET /v2/models/{name}/trace/setting false',
      'POST /v2/models/{name}/trace/setting true',
    ],
  );
});
