import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Repository } from '../../../../functions/model/repository/repository.ts';
import { createStatisticsRoutes } from '../../../../functions/routes/open-inference/triton/statistics.ts';
import { call } from '../../../helpers/calls.ts';
import { stubGeneration } from '../../../helpers/generation-stub.ts';
import { serveOnly } from '../../../helpers/route-host.ts';
import { recordTelemetry } from '../../../helpers/telemetry.ts';

async function start(t: TestContext, repository?: Partial<Repository>) {
  const telemetry = recordTelemetry();
  const { metrics } = telemetry;
  const stub = stubGeneration({ signature: { inputs: [], outputs: [] }, version: '2' });
  const routes = createStatisticsRoutes({ repository: (repository as Repository) ?? stub.repository, metrics });
  const host = await serveOnly(t, routes, telemetry);
  return { statistics: metrics.statistics, get: (path: string) => call(host, `/v2/models/${path}`) };
}
const pagesOf = (answer: { json(): { model_stats: { name: string; version: string }[] } }): string[] =>
  answer.json().model_stats.map(({ name, version }) => `${name} ${version}`);

const NONE = { count: 0, ns: 0 };

test('statistics have the members of the statistics extension, with times in nanoseconds', async (t) => {
  const { statistics, get } = await start(t);
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_123 });
  const recorder = statistics.of('m', '2');
  recorder.wait(0.001);
  recorder.wait(0.002);
  recorder.run(64, 0.25);
  recorder.run(1, 0.0000015);
  recorder.run(64, 0.5);
  recorder.settled(true, 1);
  recorder.settled(false, 0.125);
  recorder.settled(true, 2);
  const run = (count: number, ns: number) => ({
    compute_input: NONE,
    compute_infer: { count, ns },
    compute_output: NONE,
  });
  const { status, json } = await get('m/stats');
  assert.equal(status, 200);
  // triton-inference-server/server, docs/protocol/extension_statistics.md.
  assert.deepEqual(json(), {
    model_stats: [
      {
        name: 'm',
        version: '2',
        last_inference: 1_700_000_000_123,
        inference_count: 129,
        execution_count: 3,
        inference_stats: {
          success: { count: 2, ns: 3e9 },
          fail: { count: 1, ns: 125e6 },
          queue: { count: 2, ns: 3e6 },
          ...run(3, 750_001_500),
          cache_hit: NONE,
          cache_miss: NONE,
        },
        batch_stats: [
          { batch_size: 1, ...run(1, 1500) },
          { batch_size: 64, ...run(2, 75e7) },
        ],
      },
    ],
  });
});

test('nanoseconds are integers, which the clients of Triton require', async (t) => {
  const { statistics, get } = await start(t);
  statistics.of('m', '2').run(1, 0.123456789123);
  statistics.of('m', '2').wait(1 / 3);
  const { text } = await get('m/stats');
  assert.match(text, /"compute_infer":\{"count":1,"ns":123456789\}/);
  assert.match(text, /"queue":\{"count":1,"ns":333333333\}/);
});

test('a version that has not run yet has zeros', async (t) => {
  const { statistics, get } = await start(t);
  statistics.of('m', '2');
  const [page] = (await get('m/stats')).json().model_stats;
  assert.deepEqual([page.last_inference, page.inference_count, page.execution_count, page.batch_stats], [0, 0, 0, []]);
});

test('statistics are of all models, of all versions of a model, or of one version', async (t) => {
  const { statistics, get } = await start(t);
  for (const [name, version] of [
    ['m', '1'],
    ['other', '2'],
    ['m', '2'],
  ] as const) {
    statistics.of(name, version);
  }
  assert.deepEqual(pagesOf(await get('stats')), ['m 1', 'other 2', 'm 2']);
  assert.deepEqual(pagesOf(await get('m/stats')), ['m 1', 'm 2']);
  for (const version of ['2', '002']) assert.deepEqual(pagesOf(await get(`m/versions/${version}/stats`)), ['m 2']);
});

test('a model that is found by its folder has the statistics of the name in its manifest', async (t) => {
  const find = async () => ({ status: () => ({ name: 'iris' }), live: () => undefined });
  const { statistics, get } = await start(t, { find: find as never });
  statistics.of('iris', '1');
  statistics.of('folder', '1');
  assert.deepEqual(pagesOf(await get('folder/stats')), ['iris 1']);
});

test("a model or a version that is not there is a 404 in Triton's words", async (t) => {
  const { get } = await start(t);
  for (const [path, error] of [
    ['n/stats', "Request for unknown model: 'n' is not found"],
    ['m/versions/9/stats', "Request for unknown model: 'm' version 9 is not found"],
  ] as const) {
    const answer = await get(path);
    assert.deepEqual([answer.status, answer.json().error], [404, error]);
  }
});
