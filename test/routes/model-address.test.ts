import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import type { RequestContext } from '../../functions/http/request-context.ts';
import type { ListedModel, Repository } from '../../functions/model/repository/repository.ts';
import type { Generation } from '../../functions/model/serving/generation.ts';
import type { Model } from '../../functions/model/serving/model.ts';
import {
  canonicalVersion,
  createAdmit,
  describedAt,
  generationAt,
  modelAt,
  modelOf,
} from '../../functions/routes/model-address.ts';

/** A repository with one model, `m`: with version folders of these numbers, or with a version that its files say. */
function repositoryOf(numbers: readonly string[], own = '1', loaded = true) {
  const asked: (string | undefined)[] = [];
  const modelWith = (version: string): Model => {
    const live = { name: 'm', version } as Generation;
    return { live: () => (loaded ? live : undefined), whenLive: async () => live } as unknown as Model;
  };
  const main = modelWith(numbers[0] ?? own);
  const repository = {
    main,
    async find(name: string, number?: string) {
      asked.push(number);
      if (name !== 'm') throw new ServingError('NOT_FOUND', `there is no model ${name}`);
      if (number === undefined) return main;
      if (numbers.includes(number)) return modelWith(number);
      throw new ServingError('NOT_FOUND', `the model m has no version ${number}`);
    },
    describe: async (): Promise<ListedModel> => ({
      name: 'm',
      unloaded: false,
      versions: (numbers.length > 0 ? numbers : [undefined]).map((number) => ({ number, status: undefined })),
    }),
  } as unknown as Repository;
  return { repository, asked, main };
}
const at = (version?: string, name = 'm') => ({ params: version === undefined ? { name } : { name, version } });

test('a version that is a number is that number, however many zeros it was written with', () => {
  for (const [given, canonical] of [
    ['1', '1'],
    ['001', '1'],
    ['0', '0'],
    ['000', '0'],
    ['00000123', '123'],
    ['000000000000000001', '1'],
    ['999999999999999999', '999999999999999999'],
    // These are no numbers of a version folder, and stay what they are.
    ['0000000000000000001', '0000000000000000001'],
    ['1.0', '1.0'],
    ['v01', 'v01'],
    ['-1', '-1'],
    ['１', '１'],
    ['', ''],
  ] as const) {
    assert.equal(canonicalVersion(given), canonical);
  }
});

test('the repository is asked for the number', async () => {
  const { repository, asked } = repositoryOf(['123']);
  for (const version of ['123', '00000123']) {
    await modelOf(repository, at(version));
    await modelAt(repository, at(version));
    assert.equal((await generationAt(repository, at(version))).version, '123');
  }
  assert.deepEqual(asked, new Array(6).fill('123'));
  await assert.rejects(generationAt(repository, at('0124')), { code: 'NOT_FOUND' });
});

test('without a name it is the model behind /predict', () => {
  const { repository, main } = repositoryOf(['1']);
  assert.equal(modelOf(repository, { params: {} }), main);
});

test('the version that the files of a model say is compared as a number, too', async () => {
  const { repository, main } = repositoryOf([], '007');
  for (const version of ['7', '007', '00007']) {
    for (const find of [modelAt, modelOf]) assert.equal(await find(repository, at(version)), main);
    assert.equal((await generationAt(repository, at(version))).version, '007');
  }
  await assert.rejects(modelAt(repository, at('8')), { code: 'NOT_FOUND', message: 'the model m has no version 8' });
});

test('a model without version folders may be any version until it is loaded, and then is one', async () => {
  const { repository, main } = repositoryOf([], 'v2', false);
  assert.equal(await modelAt(repository, at('v1')), main);
  await assert.rejects(async () => modelOf(repository, at('v1')), { code: 'NOT_FOUND' });
  await assert.rejects(generationAt(repository, at('v1')), { code: 'NOT_FOUND' });
  assert.equal((await generationAt(repository, at('v2'))).version, 'v2');
});

test('an unknown model is NOT_FOUND', async () => {
  const { repository } = repositoryOf(['1']);
  await assert.rejects(generationAt(repository, at('1', 'x')), { code: 'NOT_FOUND', message: 'there is no model x' });
});

test('a description loads the model behind /predict, and no other', async () => {
  const { repository } = repositoryOf([], '1', false);
  assert.equal((await describedAt(repository, at('1'))).version, '1');
  const other = {
    live: () => undefined,
    loadsOnRequest: () => false,
    status: () => ({ state: 'idle' }),
  } as unknown as Model;
  await assert.rejects(describedAt({ ...repository, find: async () => other }, at()), {
    code: 'NOT_READY',
    message: 'the model is not ready: not loaded: requests do not load it',
  });
});

test('while memory is short, a request is refused before its body is read, unless no other body is in memory', () => {
  const short = new ServingError('OVERLOADED', 'the server is short of memory', { retryAfter: 1 });
  const full = new ServingError('OVERLOADED', 'the queue is full', { retryAfter: 7 });
  const context = { params: {}, cancellation: {} } as unknown as RequestContext;
  const admit = (queue: ServingError | undefined, memory: ServingError | undefined, used: number) =>
    createAdmit({ loaded: () => ({ refuse: () => queue }) as unknown as Generation }, () => memory, { used })(context);
  assert.equal(admit(undefined, short, 1), short);
  assert.equal(admit(full, short, 1), short);
  assert.equal(admit(undefined, short, 0), undefined);
  assert.equal(admit(full, short, 0), full);
  assert.equal(admit(full, undefined, 1), full);
  assert.equal(admit(undefined, undefined, 1), undefined);
});
