import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readLines } from '../../../clients/typescript/src/lines.ts';

function answer(pieces: readonly Uint8Array[], onCancel = (): void => {}): Response {
  const left = pieces.map((piece) => new Uint8Array(piece));
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const piece = left.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
    cancel: onCancel,
  });
  return new Response(body);
}

test('lines are the same wherever a response is split, also within a character', async () => {
  const text = '{"a":"é€😀"}\n\n{"b":1}\nlast';
  const bytes = new TextEncoder().encode(text);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const pieces = at.slice(1).map((to, i) => bytes.subarray(at[i], to));
      const lines: string[] = [];
      for await (const line of readLines(answer(pieces))) lines.push(line);
      assert.deepEqual(lines, ['{"a":"é€😀"}', '{"b":1}', 'last']);
    }),
  );
});

test('ending the iteration cancels the response', async () => {
  let cancelled = false;
  const response = answer([Buffer.from('1\n'), Buffer.from('2\n')], () => {
    cancelled = true;
  });
  for await (const line of readLines(response)) {
    assert.equal(line, '1');
    break;
  }
  assert.ok(cancelled);
});
