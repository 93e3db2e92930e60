import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createAdminCheck, createAuthorization } from '../../functions/http/authorization.ts';
import type { RequestContext } from '../../functions/http/request-context.ts';
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
