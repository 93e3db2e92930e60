import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { BodyBudget, BodyReservation, budgetBytes } from '../../../functions/http/body/body-budget.ts';
import { readBody } from '../../../functions/http/body/read-body.ts';

const LIMIT = 1_000_000;

/** A request with a body of so many bytes, declared or chunked. */
function request(bytes: number, declared: boolean): IncomingMessage {
  const stream = Readable.from([Buffer.alloc(bytes / 2), Buffer.alloc(bytes - bytes / 2)]);
  const headers = declared ? { 'content-length': String(bytes) } : { 'transfer-encoding': 'chunked' };
  return Object.assign(stream, { headers, complete: true }) as unknown as IncomingMessage;
}

for (const declared of [true, false]) {
  const how = declared ? 'of a declared length' : 'that is chunked';

  test(`a body ${how} keeps its part of the budget until it is released`, async () => {
    const budget = new BodyBudget(LIMIT);
    const reservation = new BodyReservation(budget);
    await readBody(request(500_000, declared), LIMIT, reservation);
    assert.equal(budget.used, 500_000);
    for (let i = 0; i < 2; i++) {
      reservation.release();
      assert.deepEqual([budget.used, reservation.isReleased], [0, true]);
    }
  });

  test(`a body ${how} that the budget has no room for is refused with 429, and its part can be released`, async () => {
    const budget = new BodyBudget(LIMIT);
    budget.reserve(600_000, LIMIT);
    const reservation = new BodyReservation(budget);
    const read = readBody(request(500_000, declared), LIMIT, reservation);
    await assert.rejects(read, { code: 'OVERLOADED', retryAfter: 1 });
    reservation.release();
    assert.equal(budget.used, 600_000);
  });
}

test('what arrives after the release reserves nothing', () => {
  const budget = new BodyBudget(LIMIT);
  const reservation = new BodyReservation(budget);
  reservation.grow(10, LIMIT);
  reservation.release();
  reservation.grow(10, LIMIT);
  assert.equal(budget.used, 0);
});

test('a body of a declared length up to 64 KiB reserves nothing once it is complete', async () => {
  const budget = new BodyBudget(LIMIT);
  const reservation = new BodyReservation(budget);
  await readBody(request(65_536, true), LIMIT, reservation);
  assert.deepEqual([budget.used, reservation.isReleased], [0, true]);
});

test('a length that is declared takes nothing of the budget before its bytes arrive', async () => {
  const budget = new BodyBudget(LIMIT);
  const body = new Readable({ read() {} });
  const headers = { 'content-length': '900000' };
  const req = Object.assign(body, { headers, complete: false }) as unknown as IncomingMessage;
  const read = readBody(req, LIMIT, new BodyReservation(budget));
  assert.equal(budget.used, 0);
  body.push(Buffer.alloc(1000));
  await new Promise(setImmediate);
  assert.equal(budget.used, 1000);
  body.destroy();
  await assert.rejects(read, { code: 'CLIENT_GONE' });
});

test('the budget is a quarter of the memory there is, and never less than 64 MiB', () => {
  assert.equal(budgetBytes(4 * 2 ** 30, 64 * 2 ** 30), 2 ** 30);
  assert.equal(budgetBytes(0, 8 * 2 ** 30), 2 * 2 ** 30);
  assert.equal(budgetBytes(2 ** 60, 8 * 2 ** 30), 2 * 2 ** 30);
  assert.equal(budgetBytes(128 * 2 ** 20, 8 * 2 ** 30), 64 * 2 ** 20);
});
