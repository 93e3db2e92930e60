import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showModel } from '../../../functions/routes/openai/models.ts';

test('a model has the members of OpenAI, with a time in seconds that does not change', () => {
  const { created, ...rest } = showModel('a');
  assert.deepEqual(rest, { id: 'a', object: 'model', owned_by: 'onnx-cloud-run' });
  assert.ok(Number.isInteger(created) && Math.abs(created - Date.now() / 1000) < 86_400);
  assert.equal(showModel('b').created, created);
});
