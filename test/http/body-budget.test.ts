import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { BodyBudget, budgetBytes, releasing } from '../../functions/http/body-budget.ts';
import { readBody } from '../../functions/http/body-in.ts';
import type { Exchange } from '../../functions/http/exchange.ts';

const LIMIT = 1_000_000;

/** A request with a body of so many bytes, declared or chunked. */
function request(bytes: number, declared: boolean): IncomingMessage {
  const stream = Readable.from([Buffer.alloc(bytes / 2), Buffer.alloc(bytes - bytes / 2)]);
  const headers = declared ? { 'content-length': String(bytes) } : { 'transfer-encoding': 'chunked' };
  return Object.assign(stream, { headers, complete: true }) as unknown as IncomingMessage;
}

for (const declared of [true, false]) {
  const how = declared ? 'of a declared length' : 'that is chunked';

  test(`a body ${how} takes of the budget until its request is done, well or not`, async () => {
    for (const outcome of ['well', 'not']) {
      const budget = new BodyBudget(LIMIT);
      const req = request(500_000, declared);
      let during = 0;
      const route = releasing({
        method: 'POST',
        path: '/x',
        async handle() {
          await readBody(req, LIMIT, budget);
          during = budget.used;
          if (outcome === 'not') throw new Error('no');
        },
      });
      await Promise.allSettled([route.handle({ req } as Exchange)]);
      assert.ok(during >= 500_000, `${during} bytes while it is handled`);
      assert.equal(budget.used, 0, `after it ended ${outcome}`);
    }
  });

  test(`a body ${how} that the budget has no room for is refused with 429, and takes nothing`, async () => {
    const budget = new BodyBudget(LIMIT);
    budget.take(800_000, LIMIT);
    const req = request(500_000, declared);
    const route = releasing({
      method: 'POST',
      path: '/x',
      handle: async () => void (await readBody(req, LIMIT, budget)),
    });
    await assert.rejects(async () => route.handle({ req } as Exchange), { code: 'OVERLOADED', retryAfter: 1 });
    await new Promise(setImmediate);
    assert.equal(budget.used, 800_000);
  });
}

test('the budget is a quarter of the memory there is, and never less than 64 MiB', () => {
  assert.equal(budgetBytes(4 * 2 ** 30, 64 * 2 ** 30), 2 ** 30);
  assert.equal(budgetBytes(0, 8 * 2 ** 30), 2 * 2 ** 30);
  assert.equal(budgetBytes(2 ** 60, 8 * 2 ** 30), 2 * 2 ** 30);
  assert.equal(budgetBytes(128 * 2 ** 20, 8 * 2 ** 30), 64 * 2 ** 20);
});
