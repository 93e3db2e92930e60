import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN, ANONYMOUS, type Caller, mayUse, mayUseMain } from '../../functions/access/caller.ts';

const callerOf = (...models: string[]): Caller => ({ ...ANONYMOUS, models: new Set(models) });
/** The model behind `/predict` is in the folder `iris`; its `model.json` names it `flowers`. */
const isMain = (name: string): boolean => name === 'iris' || name === 'flowers';

test('a caller may use the models that its token names, the main one by each of its names', () => {
  for (const name of ['iris', 'flowers']) {
    assert.ok(mayUse(callerOf('iris'), name, isMain));
    assert.ok(mayUse(callerOf('flowers'), name, isMain));
    assert.ok(!mayUse(callerOf('rose'), name, isMain));
    assert.ok(!mayUse(callerOf(), name, isMain));
  }
  assert.ok(mayUse(callerOf('rose'), 'rose', isMain));
  assert.ok(!mayUse(callerOf('iris', 'rose'), 'other', isMain));
});

test('a caller may use the main model if its token has one of its names', () => {
  assert.ok(mayUseMain(callerOf('rose', 'flowers'), isMain));
  assert.ok(!mayUseMain(callerOf('rose'), isMain));
  assert.ok(!mayUseMain(ANONYMOUS, isMain));
});

test('without authentication, and with a token of all models, every model may be used', () => {
  for (const caller of [undefined, ADMIN]) assert.ok(mayUse(caller, 'any', isMain) && mayUseMain(caller, isMain));
});
