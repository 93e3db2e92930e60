import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ServingError } from '../../../../functions/errors.ts';
import type { ListedModel, Repository } from '../../../../functions/model/repository/repository.ts';
import type { ModelStatus } from '../../../../functions/model/serving/model.ts';
import { createRepositoryRoutes } from '../../../../functions/routes/open-inference/triton/repository.ts';
import { post } from '../../../helpers/calls.ts';
import { serveOnly } from '../../../helpers/route-host.ts';

async function start(t: TestContext, repository: Partial<Repository>) {
  const routes = createRepositoryRoutes(repository as Repository);
  const host = await serveOnly(t, routes);
  return (path: string, body: unknown = '') => post(host, `/v2/repository/${path}`, body);
}
const fails = (code: 'NOT_FOUND' | 'NOT_READY', message: string) => async (): Promise<never> => {
  throw new ServingError(code, message, code === 'NOT_READY' ? { retryAfter: 7 } : {});
};

test('the index has each version with its state, and only those that are ready where that is asked', async (t) => {
  const status = (state: ModelStatus['state'], more: object = {}) => ({ state, ...more }) as ModelStatus;
  const listed: ListedModel[] = [
    {
      name: 'm',
      unloaded: false,
      versions: [
        { number: '3', status: status('loading', { phase: 'warming' }) },
        { number: '2', status: status('ready') },
        { number: '1', status: undefined },
      ],
    },
    {
      name: 'own',
      unloaded: false,
      versions: [{ number: undefined, status: status('failed', { version: '7', reason: 'no' }) }],
    },
    { name: 'gone', unloaded: true, versions: [{ number: '1', status: status('ready') }] },
  ];
  const ask = await start(t, { list: async () => listed });
  const { json } = await ask('index');
  const none = 'not loaded';
  assert.deepEqual(
    json().map(({ name, version, state, reason }: Record<string, string>) => [name, version, state, reason]),
    [
      ['m', '3', 'LOADING', 'warming'],
      ['m', '2', 'READY', ''],
      ['m', '1', 'UNAVAILABLE', none],
      ['own', '7', 'UNAVAILABLE', 'no'],
      ['gone', '1', 'UNAVAILABLE', 'unloaded'],
    ],
  );
  assert.deepEqual((await ask('index', { ready: true })).json(), [
    { name: 'm', version: '2', state: 'READY', reason: '' },
  ]);
  assert.equal((await ask('index', { ready: 'yes' })).status, 400);
});

test('a load that fails begins with the words that clients look for, and keeps its code', async (t) => {
  const cases = [
    [
      fails('NOT_FOUND', 'there is no model m'),
      404,
      "failed to load 'm', failed to poll from model repository: there is no model m",
    ],
    [fails('NOT_READY', 'the file is none'), 503, "failed to load 'm', the file is none"],
  ] as const;
  for (const [load, status, error] of cases) {
    const ask = await start(t, { load });
    const answer = await ask('models/m/load');
    assert.deepEqual([answer.status, answer.json().error], [status, error]);
    assert.equal(answer.headers.get('retry-after'), status === 503 ? '7' : null);
  }
});

test('a configuration or files in a load request are not taken, and nothing is loaded', async (t) => {
  let loads = 0;
  const ask = await start(t, {
    async load() {
      loads += 1;
    },
  });
  for (const name of ['config', 'file:1/model.onnx']) {
    const answer = await ask('models/m/load', { parameters: { [name]: '{}' } });
    assert.deepEqual([answer.status, answer.json().path], [501, `parameters.${name}`]);
    assert.match(answer.json().error, /^failed to load 'm', /);
  }
  assert.equal(loads, 0);
  assert.deepEqual((await ask('models/m/load', { parameters: { other: 1 } })).json(), {});
  assert.equal(loads, 1);
});

test("unloading an unknown model gives Triton's error for one", async (t) => {
  const ask = await start(t, { unload: fails('NOT_FOUND', 'there is no model m') });
  const answer = await ask('models/m/unload', { parameters: { unload_dependents: false } });
  assert.deepEqual([answer.status, answer.json().error], [404, "Request for unknown model: 'm' is not found"]);
});

test('models are loaded and unloaded with the admin token alone, and listed for everybody', () => {
  assert.deepEqual(
    createRepositoryRoutes({} as Repository).map(({ path, admin }) => [path, admin]),
    [
      ['/v2/repository/index', undefined],
      ['/v2/repository/models/{name}/load', true],
      ['/v2/repository/models/{name}/unload', true],
    ],
  );
});
