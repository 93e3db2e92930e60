import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LEVEL_NAMES, LEVELS, rankOf, resolveLevel } from '../../../functions/telemetry/log/log-level.ts';

test('levels are taken by our names and by winston’s', () => {
  const expected = { critical: 'critical', error: 'error', warning: 'warning', info: 'info', debug: 'debug' };
  const aliases = { warn: 'warning', http: 'info', verbose: 'debug', silly: 'debug' };
  const resolved = Object.fromEntries(LEVEL_NAMES.map((name) => [name, resolveLevel(name)]));
  assert.deepEqual(resolved, { ...expected, ...aliases });
});

test('ranks rise from critical to debug', () => {
  assert.deepEqual(LEVELS.map(rankOf), [0, 1, 2, 3, 4]);
  assert.ok(rankOf('critical') < rankOf('error') && rankOf('info') < rankOf('debug'));
});
