import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createRowWindow } from '../../../clients/typescript/src/row-window.ts';

const lines = (...rows: number[]): string => rows.map((row) => `{"features":[${row}]}\n`).join('');

/** A source of the rows 0, 1, …; it ends, so that a window that reads too much fails a test and does not hang it. */
function counting(until = 1000) {
  const source = { read: 0, returned: false };
  async function* rows(): AsyncGenerator<number[]> {
    try {
      while (source.read < until) yield [source.read++];
    } finally {
      source.returned = true;
    }
  }
  return { source, rows: rows() };
}

test('no more rows are read than the window holds, and again once half of it is answered', async () => {
  const { source, rows } = counting();
  const window = createRowWindow(rows, 4);
  assert.equal(await window.waiting(), true);
  const sender = window.send();
  assert.equal(await sender.take(1000), lines(0, 1, 2, 3));
  window.answer();
  await turn();
  assert.equal(source.read, 4);
  window.answer();
  assert.equal(await sender.take(1000), lines(4, 5));
  assert.equal(window.unanswered(), 4);
  window.close();
});

test('rows without a result are sent again by a new sender, and the earlier sender gets none of them', async () => {
  const { rows } = counting(3);
  const window = createRowWindow(rows, 10);
  const before = window.send();
  assert.equal(await before.take(1000), lines(0, 1, 2));
  window.answer();
  const after = window.send();
  assert.equal(await before.take(1000), undefined);
  assert.equal(await after.take(1000), lines(1, 2));
});

test('a sender that waits for a row ends when another sender is created', async () => {
  const first = Promise.withResolvers<void>();
  async function* late() {
    await first.promise;
    yield [0];
  }
  const window = createRowWindow(late(), 10);
  const before = window.send();
  const [ready, taken] = [before.ready(), before.take(1000)];
  const after = window.send();
  assert.equal(await ready, false);
  assert.equal(await taken, undefined);
  first.resolve();
  assert.equal(await after.take(1000), lines(0));
});

test('a text ends before the row that would make it too long, but has one row at least', async () => {
  const sender = createRowWindow([[1], [2], [3]], 10).send();
  assert.equal(await sender.take(1), lines(1));
  assert.equal(await sender.take(lines(2, 3).length), lines(2, 3));
  assert.equal(await sender.take(1), undefined);
});

test('long rows fill the window before its number of rows is reached', async () => {
  let read = 0;
  function* rows() {
    while (read < 40) {
      read++;
      yield 'x'.repeat(2 ** 20);
    }
  }
  const window = createRowWindow(rows(), 4096);
  await window.waiting();
  await turn();
  assert.equal(read, 8);
  window.close();
});

test('the error of a source is kept until its rows are taken, and closing a window returns its iterator', async () => {
  const failing = createRowWindow(
    (function* () {
      yield [0];
      throw new Error('no more');
    })(),
    10,
  );
  const sender = failing.send();
  assert.equal(await sender.take(1000), lines(0));
  assert.equal(await sender.take(1000), undefined);
  assert.match(String(failing.failure()?.error), /no more/);

  const { source, rows } = counting();
  const left = createRowWindow(rows, 2);
  await left.waiting();
  left.close();
  await turn();
  assert.equal(source.returned, true);
  assert.equal(await left.waiting(), false);
});

test('a row waits for its result from when it is sent', async (t) => {
  let now = 1;
  t.mock.method(performance, 'now', () => now++);
  const window = createRowWindow([[0], [1]], 10);
  await window.waiting();
  assert.equal(window.owedSince(), undefined);
  await window.send().take(1000);
  assert.equal(window.owedSince(), 1);
  window.answer();
  assert.equal(window.owedSince(), 2, 'the next row waits from the result before it');
  window.answer();
  assert.equal(window.owedSince(), undefined);
});
