import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { ServingError } from '../../../functions/errors.ts';
import { BodyBudget } from '../../../functions/http/body/body-budget.ts';
import { createLineCutter, type Line } from '../../../functions/http/body/lines.ts';
import { until } from '../../helpers/until.ts';

/** More than any test takes. */
const AMPLE = 2 ** 30;
const textOf = (line: Line): string | undefined => (line instanceof Buffer ? line.toString() : undefined);

/** The lines of a text that comes in these pieces; undefined in place of one that is refused. */
function cut(pieces: readonly Buffer[], limit: number): (string | undefined)[] {
  const budget = new BodyBudget(AMPLE);
  const cutter = createLineCutter(limit, budget);
  const lines = pieces.flatMap((piece) => [...cutter.push(piece)]).concat([...cutter.end()]);
  const bytes = lines.reduce((sum, line) => sum + (line instanceof Buffer ? line.length : 0), 0);
  assert.equal(budget.used, bytes, 'what is cut is counted, and nothing else');
  return lines.map(textOf);
}

function piecesOf(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const ends = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return ends.slice(1).map((end, i) => bytes.subarray(ends[i], end));
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
      assert.deepEqual(cut(piecesOf(text, cuts), limit), expected(text, limit));
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
  const budget = new BodyBudget(AMPLE);
  const cutter = createLineCutter(20_000_000, budget);
  const held = (): number => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  for (let i = 0; i < 100; i++) assert.deepEqual([...cutter.push(Buffer.alloc(1_000_000, 'x'))], []);
  assert.deepEqual([...cutter.push(Buffer.alloc(1000, 'x'))], []);
  // Freed memory is counted a little after it is collected.
  await until(() => held() - before < 5_000_000, 'the line to be forgotten');
  assert.equal(budget.used, 0);
  assert.deepEqual(Array.from(cutter.push(Buffer.from('\nnext\n')), textOf), [undefined, 'next']);
});

test('the error of a line that is too long has the limit', () => {
  const [line] = [...createLineCutter(5, new BodyBudget(AMPLE)).push(Buffer.from('123456\n'))];
  assert.ok(line instanceof ServingError);
  assert.deepEqual([line.code, line.message], ['TOO_LARGE', 'the line is longer than 5 bytes (MAX_BODY_BYTES)']);
});

test('a line for which there is no memory is refused, and those after it are read', () => {
  const budget = new BodyBudget(10);
  budget.reserve(5, 0);
  const cutter = createLineCutter(8, budget);
  const lines = [...cutter.push(Buffer.from('12345678\n1234\n'))];
  assert.ok(lines[0] instanceof ServingError && lines[0].code === 'OVERLOADED');
  assert.equal(String(lines[1]), '1234');
  assert.equal(budget.used, 9);
});

test('wherever a body stops, all that was taken for its lines is given back', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), fc.nat(20), fc.nat(60), (text, cuts, stop, room) => {
      const budget = new BodyBudget(room);
      const cutter = createLineCutter(20, budget);
      let lines = 0;
      for (const piece of piecesOf(text, cuts)) {
        for (const line of cutter.push(piece)) {
          if (line instanceof Buffer) budget.release(line.length);
          if (++lines > stop) break;
        }
        if (lines > stop) break;
      }
      cutter.close();
      assert.equal(budget.used, 0);
    }),
  );
});

test('blank lines by the million are ignored', () => {
  const cutter = createLineCutter(1000, new BodyBudget(AMPLE));
  for (const blank of ['\n', '\r\n', ' \n', '\t \r\n']) {
    const piece = Buffer.from(blank.repeat(Math.ceil(4_000_000 / blank.length)));
    assert.deepEqual([...cutter.push(piece)], []);
  }
  assert.deepEqual(Array.from(cutter.push(Buffer.from('x\n')), textOf), ['x']);
});
