import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLineCount } from '../../../scripts/bench/line-count.ts';

const TEXT = '{"index":0}\n{"index":1}\n\n{"done":true,"ok":2,"failed":0}\n';

function count(pieces: readonly string[]) {
  const counter = createLineCount();
  for (const piece of pieces) {
    // As a socket does: the piece lies inside a larger buffer with old bytes around it.
    const bytes = Buffer.from(`\n${piece}\nold\n`);
    counter.push(bytes, 1, bytes.length - 5);
  }
  return { lines: counter.lines(), last: counter.lastLine() };
}

test('lines and the last of them are the same wherever the stream is cut', () => {
  const whole = { lines: 4, last: '{"done":true,"ok":2,"failed":0}' };
  assert.deepEqual(count([TEXT]), whole);
  for (let cut = 0; cut <= TEXT.length; cut += 1) {
    assert.deepEqual(count([TEXT.slice(0, cut), TEXT.slice(cut)]), whole, `cut at ${cut}`);
  }
  assert.deepEqual(count([...TEXT]), whole);
});

test('an end without a newline is no line', () => {
  assert.deepEqual(count(['a\nb']), { lines: 1, last: 'a' });
  assert.deepEqual(count(['a']), { lines: 0, last: '' });
  assert.deepEqual(count([]), { lines: 0, last: '' });
});

test('the last line survives a stream far longer than what is kept of it', () => {
  const rows = Array.from({ length: 5000 }, (_, i) => `{"index":${i}}\n`).join('');
  assert.deepEqual(count([rows, 'end\n']), { lines: 5001, last: 'end' });
  assert.deepEqual(count([`a\n${'x'.repeat(5000)}\n`]), { lines: 2, last: '' });
});
