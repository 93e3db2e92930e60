import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { createLineCutter } from '../../functions/http/lines.ts';
import { until } from '../helpers/until.ts';

/** The lines of a text that comes in these pieces. */
function cut(pieces: readonly Buffer[], limit: number): (string | undefined)[] {
  const cutter = createLineCutter(limit);
  const lines = pieces.flatMap((piece) => [...cutter.push(piece)]);
  return [...lines, ...cutter.end()].map((line) => line?.toString());
}

/** What should come out, from the text as a whole. */
function expected(text: string, limit: number): (string | undefined)[] {
  return text
    .split('\n')
    .filter((line) => Buffer.byteLength(line) > limit || !/^[ \t\r]*$/.test(line))
    .map((line) => (Buffer.byteLength(line) > limit ? undefined : line));
}

const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('\n', '\r\n', ' ', '\t', '{"a":1}', '\n\n'),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
    ),
  )
  .map((parts) => parts.join(''));

test('however a text is cut into pieces, its lines are the same', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), fc.integer({ min: 1, max: 40 }), (text, cuts, limit) => {
      const bytes = Buffer.from(text);
      const ends = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const pieces = ends.slice(1).map((end, i) => bytes.subarray(ends[i], end));
      assert.deepEqual(cut(pieces, limit), expected(text, limit));
    }),
    { numRuns: 500 },
  );
});

test('a line without a line end at the end of the body is a line; a line end there makes no other', () => {
  assert.deepEqual(cut([Buffer.from('a\nb')], 10), ['a', 'b']);
  assert.deepEqual(cut([Buffer.from('a\nb\n')], 10), ['a', 'b']);
  assert.deepEqual(cut([], 10), []);
});

test('blank lines are left out, however long', () => {
  assert.deepEqual(cut([Buffer.from(`\n \t\r\n${' '.repeat(100)}\na\r\n`)], 1000), ['a\r']);
});

test('a line of exactly the limit is taken; one byte more is not, and the lines after it are', () => {
  assert.deepEqual(cut([Buffer.from('12345\n123456\nabc\n')], 5), ['12345', undefined, 'abc']);
});

test('an endless line is counted once and takes no memory', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage: () => void = runInNewContext('gc');
  const cutter = createLineCutter(20_000_000);
  const held = (): number => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  for (let i = 0; i < 100; i++) assert.deepEqual([...cutter.push(Buffer.alloc(1_000_000, 'x'))], []);
  assert.deepEqual([...cutter.push(Buffer.alloc(1000, 'x'))], []);
  // Freed memory is counted a little after it is collected.
  await until(() => held() - before < 5_000_000, 'the line to be forgotten');
  assert.deepEqual(Array.from(cutter.push(Buffer.from('\nnext\n')), String), ['undefined', 'next']);
});
