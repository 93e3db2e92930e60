import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { CLASSES, PIXELS } from './images.ts';
import { trainMlp } from './mlp.ts';
import { accuracy } from './train.ts';

const OPTIONS = { hidden: [64, 32], steps: 150, heldOutRows: 500 };

test('a trained perceptron knows images that it was not trained on, with some close calls, and the training is repeatable', async () => {
  const { bytes, heldOut, samples } = await trainMlp(OPTIONS);
  assert.deepEqual([heldOut.count, samples.count], [500, 256]);
  const session = await InferenceSession.create(bytes);
  const { probabilities } = await session.run({ x: new Tensor('float32', heldOut.pixels, [heldOut.count, PIXELS]) });
  const scores = probabilities!.data as Float32Array;
  const share = accuracy(scores, heldOut.labels);
  assert.ok(share > 0.9 && share < 1, `${share} of the rows are right`);
  const margins = Array.from({ length: heldOut.count }, (_, row) => {
    const [best, second] = [...scores.subarray(row * CLASSES, (row + 1) * CLASSES)].sort((a, b) => b - a);
    return best! - second!;
  });
  assert.ok(Math.min(...margins) < 0.1 && Math.max(...margins) > 0.9, 'close calls, and clear ones');
  await session.release();
  assert.deepEqual((await trainMlp(OPTIONS)).bytes, bytes);
});
