import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendsWhileItReads } from '../../functions/client/platform.ts';

test('Node and Deno send and read at once, browsers and Bun do not', () => {
  assert.equal(sendsWhileItReads(), true);
  assert.equal(sendsWhileItReads({ Deno: {} }), true);
  assert.equal(sendsWhileItReads({}), false);
  assert.equal(sendsWhileItReads({ process: { versions: { node: '22', bun: '1' } } }), false);
});
