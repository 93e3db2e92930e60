import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireTask, requireText } from '../../../functions/routes/texts/task.ts';
import { stubTexts } from '../../helpers/text-stub.ts';

test('a model of tensors or of pictures has no texts', () => {
  for (const [preparation, takes] of [
    [undefined, 'tensors'],
    [{ kind: 'picture' }, 'pictures'],
  ] as const) {
    assert.throws(() => requireText({ name: 'iris', preparation: preparation as undefined }), {
      code: 'UNSUPPORTED',
      message: `the model iris takes ${takes} instead of texts: send its rows to /predict`,
    });
  }
});

test('a model for another task says which it has', () => {
  const { live } = stubTexts({ task: 'token-classification' });
  assert.equal(requireText(live).task?.value, 'token-classification');
  assert.equal(requireTask(live, 'embedding', 'token-classification'), requireText(live));
  assert.throws(() => requireTask(live, 'embedding', 'reranking'), {
    code: 'UNSUPPORTED',
    message: 'expected a model for embeddings or reranking: m is a model for token classification',
  });
});
