import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { ADMIN, type Caller } from '../../functions/access/caller.ts';
import { noCredentials } from '../../functions/access/challenge.ts';
import { ServingError } from '../../functions/errors.ts';
import { type CallerRules, createAdminCheck, createAuthorization } from '../../functions/http/authorization.ts';
import type { RequestContext } from '../../functions/http/request-context.ts';
import type { Route } from '../../functions/http/router.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const write = tempFiles('admin-');

test('requests with the token in the file are allowed, and no others; a replaced token is refused', () => {
  const file = write('first', ' first-token\n');
  const check = createAdminCheck(file);
  const ask = (authorization?: string) => (): void =>
    check({ headers: authorization === undefined ? {} : { authorization } });
  ask('Bearer first-token')();
  ask('bearer   first-token')();
  for (const bad of [
    undefined,
    '',
    'first-token',
    'Bearer',
    'Bearer first-tokeN',
    'Bearer first',
    'Basic first-token',
  ]) {
    assert.throws(ask(bad), { code: 'UNAUTHORIZED' });
  }
  writeFileSync(file, 'second-token');
  assert.throws(ask('Bearer first-token'), { code: 'UNAUTHORIZED' });
  ask('Bearer second-token')();
});

test('without a token in the file every request is refused', () => {
  const file = write('second', ' \n');
  const headers = { authorization: 'Bearer x' };
  assert.throws(() => createAdminCheck(undefined)({ headers }), { code: 'FORBIDDEN', message: /is not set/ });
  assert.throws(() => createAdminCheck(file)({ headers }), { code: 'FORBIDDEN', message: /empty or cannot be read/ });
  rmSync(file);
  assert.throws(() => createAdminCheck(file)({ headers }), { code: 'FORBIDDEN', message: /empty or cannot be read/ });
});

test('only routes for admins need the token', () => {
  const authorize = createAuthorization(undefined);
  const context = { req: { headers: {} } } as RequestContext;
  const route = { method: 'POST', path: '/x', handle() {} } as const;
  authorize(context, route);
  assert.throws(() => authorize(context, { ...route, admin: true }), { code: 'FORBIDDEN' });
});

const WEB: Caller = { ...ADMIN, id: 'web', name: 'web', models: new Set(['iris']), metrics: false, operator: false };

/** Authorizes a request to a route, and gives its caller. */
async function authorize(
  rules: Partial<CallerRules>,
  route: Partial<Route>,
  params: Record<string, string> = {},
): Promise<Caller | undefined> {
  const check = createAuthorization(undefined, {
    authenticate: () => WEB,
    open: [],
    isMain: (name) => name === 'iris',
    whenMainIsKnown: () => Promise.resolve(),
    ...rules,
  });
  const context = { req: { headers: {} }, params } as unknown as RequestContext;
  await check(context, { method: 'GET', path: '/x', handle() {}, ...route } as Route);
  return context.caller;
}

const NOBODY: Partial<CallerRules> = {
  authenticate() {
    throw noCredentials('send a token');
  },
};

test('with rules for callers, each route needs one, whether its token is known at once or later', async () => {
  await assert.rejects(authorize(NOBODY, {}), { code: 'UNAUTHORIZED' });
  assert.equal(await authorize({}, {}), WEB);
  assert.equal(await authorize({ authenticate: async () => WEB }, {}), WEB);
});

test('routes that platforms poll are served to everybody, and recognize a caller', async () => {
  const open = { open: true };
  assert.deepEqual((await authorize(NOBODY, open))!.models, new Set());
  const unreachable = (): Promise<Caller> => Promise.reject(new ServingError('NOT_READY', 'no keys'));
  assert.equal((await authorize({ authenticate: unreachable }, open))!.name, 'anonymous');
  assert.equal(await authorize({}, open), WEB);
  assert.equal(await authorize({ authenticate: async () => WEB }, open), WEB);
  assert.equal(await authorize({ ...NOBODY, open: ['/openapi.json'] }, open), undefined);
});

test('routes that the operator opens need no token', async () => {
  const open = ['/metrics'] as const;
  assert.equal(await authorize({ ...NOBODY, open }, { path: '/metrics', metrics: true }), undefined);
  await assert.rejects(authorize({ ...NOBODY, open }, { path: '/docs' }), { code: 'UNAUTHORIZED' });
});

test('the metrics need a right of their own', async () => {
  await assert.rejects(authorize({}, { metrics: true }), {
    code: 'FORBIDDEN',
    challenge: /error="insufficient_scope"/,
  });
  const authenticate = () => ({ ...WEB, metrics: true });
  assert.equal((await authorize({ authenticate }, { metrics: true }))!.name, 'web');
});

test('a model that the caller may not use does not exist, in the words of the dialect', async () => {
  await authorize({}, {}, { name: 'iris' });
  await assert.rejects(authorize({}, {}, { name: 'rose' }), { code: 'NOT_FOUND', message: 'there is no model rose' });
  const unknownModel = ({ name }: Readonly<Record<string, string>>) => new ServingError('NOT_FOUND', `no ${name}`);
  await assert.rejects(authorize({}, { unknownModel }, { name: 'rose' }), { message: 'no rose' });
});

test('the model behind /predict is the right one by any of its names, which may be known only once it is loaded', async () => {
  const main = { main: true };
  assert.equal(await authorize({}, main), WEB);
  let loaded = false;
  const late = {
    isMain: (name: string) => loaded && name === 'iris',
    async whenMainIsKnown() {
      loaded = true;
    },
  };
  assert.equal(await authorize(late, main), WEB);
  await assert.rejects(authorize({ isMain: () => false }, main), { code: 'NOT_FOUND' });
  const whenMainIsKnown = () => assert.fail('it was waited for');
  const authenticate = () => ({ ...WEB, models: new Set<string>() });
  await assert.rejects(authorize({ authenticate, whenMainIsKnown }, main), { code: 'NOT_FOUND' });
  const why = new ServingError('NOT_READY', 'no room for the model tulip (17 bytes)', { retryAfter: 5 });
  await assert.rejects(
    authorize({ isMain: () => false, whenMainIsKnown: () => Promise.reject(why) }, main),
    { code: 'NOT_READY', message: 'the model is not ready', retryAfter: 5, cause: why },
    'it may be the model of others',
  );
});
