import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SERVER_FLAGS } from '../../scripts/node-flags.ts';

test('npm start runs node with the flags that the benchmarks measure', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  assert.equal(scripts.start, `exec node ${SERVER_FLAGS.join(' ')} scripts/start.ts`);
});
