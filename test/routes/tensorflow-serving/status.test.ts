import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import type { ListedModel, Repository } from '../../../functions/model/repository/repository.ts';
import type { ModelStatus } from '../../../functions/model/serving/model.ts';
import { showStatus } from '../../../functions/routes/tensorflow-serving/status.ts';

const status = (state: ModelStatus['state'], reason?: string, name = 'm', version = '1'): ModelStatus =>
  ({ state, reason, name, version }) as ModelStatus;

function repositoryOf(found: ModelStatus, listed: ListedModel[] = []): Repository {
  const describe = async (name: string) => listed.find((one) => one.name === name) ?? listed[0];
  return { find: async () => ({ status: () => found }), describe } as unknown as Repository;
}
const versions = (shown: object) => (shown as { model_version_status: unknown[] }).model_version_status;

const OK = { error_code: 'OK', error_message: '' };

for (const [state, shown, error] of [
  ['idle', 'START', OK],
  ['loading', 'LOADING', OK],
  ['ready', 'AVAILABLE', OK],
  ['failed', 'END', { error_code: 'INTERNAL', error_message: 'no such file' }],
  ['degraded', 'LOADING', { error_code: 'UNAVAILABLE', error_message: 'no such file' }],
] as const) {
  test(`a version that is ${state} is shown as ${shown}`, async () => {
    assert.deepEqual(versions(await showStatus(repositoryOf(status(state, 'no such file')), 'm', '3')), [
      { version: '3', state: shown, status: error },
    ]);
  });
}

test('a model is shown with all its versions, also those that were never requested', async () => {
  const listed: ListedModel[] = [
    { name: 'other', unloaded: false, versions: [{ number: '9', status: undefined }] },
    {
      name: 'm',
      unloaded: false,
      versions: [
        { number: '2', status: status('ready') },
        { number: '1', status: undefined },
      ],
    },
  ];
  assert.deepEqual(versions(await showStatus(repositoryOf(status('ready'), listed), 'm')), [
    { version: '2', state: 'AVAILABLE', status: OK },
    { version: '1', state: 'START', status: OK },
  ]);
});

test('a model that somebody has unloaded has come to its end', async () => {
  const listed: ListedModel[] = [{ name: 'm', unloaded: true, versions: [{ number: '2', status: status('idle') }] }];
  assert.deepEqual(versions(await showStatus(repositoryOf(status('idle'), listed), 'm')), [
    { version: '2', state: 'END', status: OK },
  ]);
});

test('a model is found by the name that its manifest gives it, with the version that its files say', async () => {
  const named = status('ready', undefined, 'iris', '7');
  const listed: ListedModel[] = [{ name: 'folder', unloaded: false, versions: [{ number: undefined, status: named }] }];
  assert.deepEqual(versions(await showStatus(repositoryOf(named, listed), 'iris')), [
    { version: '7', state: 'AVAILABLE', status: OK },
  ]);
});

test('a model that is not there is not found', async () => {
  const repository = {
    find: () => Promise.reject(new ServingError('NOT_FOUND', 'there is no model x')),
  } as unknown as Repository;
  await assert.rejects(showStatus(repository, 'x'), { code: 'NOT_FOUND' });
});

test("a model's status says for KServe whether it is ready; that of a version does not", async () => {
  const listed = (unloaded: boolean): ListedModel[] => [
    { name: 'm', unloaded, versions: [{ number: '1', status: undefined }] },
  ];
  for (const [state, unloaded, ready] of [
    ['ready', false, true],
    ['ready', true, false],
    ['idle', false, false],
    ['loading', false, false],
    ['degraded', false, false],
  ] as const) {
    const shown = await showStatus(repositoryOf(status(state), listed(unloaded)), 'm');
    assert.deepEqual({ name: 'm', ready, model_version_status: versions(shown) }, shown, state);
  }
  assert.deepEqual(Object.keys(await showStatus(repositoryOf(status('ready')), 'm', '3')), ['model_version_status']);
});
