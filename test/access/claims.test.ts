import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findBroken, parseClaims } from '../../functions/access/claims.ts';

const holds = (rules: string, claims: Record<string, unknown>): boolean =>
  findBroken(parseClaims(rules)!, claims) === undefined;

test('rules are separated by commas, values by bars, and both are percent-decoded', () => {
  assert.deepEqual(parseClaims(' email = a@b.c|d@e.f , https://x.example/g=a%2Cb%7Cc%25'), [
    { name: 'email', values: new Set(['a@b.c', 'd@e.f']) },
    { name: 'https://x.example/g', values: new Set(['a,b|c%']) },
  ]);
  assert.deepEqual(parseClaims('sub=a=b'), [{ name: 'sub', values: new Set(['a=b']) }]);
  for (const bad of ['', 'a', 'a=', '=b', 'a=b,', 'a=b||c', 'a=%zz']) assert.equal(parseClaims(bad), undefined, bad);
});

test('every rule must hold, by one of its values', () => {
  assert.ok(holds('hd=a|b,sub=1', { hd: 'b', sub: '1' }));
  assert.ok(!holds('hd=a|b,sub=1', { hd: 'b', sub: '2' }));
  assert.ok(!holds('hd=a', {}));
  assert.ok(!holds('hd=a', { hd: 'A' }));
  assert.equal(findBroken(parseClaims('hd=a,sub=1')!, { hd: 'a' })!.name, 'sub');
});

test('a list needs one of the values; a truth value is compared by its name; other values do not match', () => {
  assert.ok(holds('groups=ml', { groups: ['ops', 'ml'] }));
  assert.ok(!holds('groups=ml', { groups: ['mlx'] }));
  assert.ok(holds('admin=true', { admin: true }));
  for (const value of [{ a: 1 }, 1, null, [['1']], [null]]) assert.ok(!holds('x=1', { x: value }));
  for (const inherited of ['constructor', 'toString', '__proto__']) assert.ok(!holds(`${inherited}=x`, {}));
});

test('an email address counts only if the issuer does not say that it is unverified', () => {
  for (const verified of [true, 'true', undefined])
    assert.ok(holds('email=a@b.c', { email: 'a@b.c', email_verified: verified }));
  for (const verified of [false, 'false', 0, null])
    assert.ok(!holds('email=a@b.c', { email: 'a@b.c', email_verified: verified }));
  assert.ok(holds('sub=1', { sub: '1', email: 'a@b.c', email_verified: false }));
});
