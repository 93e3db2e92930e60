import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import type { Repository } from '../../../functions/model/repository/repository.ts';
import { generationAt, inTritonsWords, modelAt } from '../../../functions/routes/open-inference/addressing.ts';

const failing = (error: unknown) =>
  ({ find: () => Promise.reject(error), describe: () => Promise.reject(error) }) as unknown as Repository;

test("an unknown model or version has Triton's error text", async () => {
  const repository = failing(new ServingError('NOT_FOUND', 'there is none'));
  for (const find of [modelAt, generationAt]) {
    await assert.rejects(find(repository, { params: { name: 'a/b' } }), {
      code: 'NOT_FOUND',
      message: "Request for unknown model: 'a/b' is not found",
    });
    await assert.rejects(find(repository, { params: { name: 'm', version: '007' } }), {
      code: 'NOT_FOUND',
      message: "Request for unknown model: 'm' version 007 is not found",
    });
  }
});

test('any other failure stays what it is', async () => {
  for (const error of [new ServingError('NOT_READY', 'it loads', { retryAfter: 1 }), new TypeError('a bug')]) {
    await assert.rejects(modelAt(failing(error), { params: { name: 'm' } }), error);
  }
});

test('long names, and halves of characters, are cut', () => {
  const name = `${'x'.repeat(79)}😀`;
  const { message } = inTritonsWords(new ServingError('NOT_FOUND', ''), { params: { name } }) as Error;
  assert.equal(message, `Request for unknown model: '${'x'.repeat(79)}\ufffd…' is not found`);
});
