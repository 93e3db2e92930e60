import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Check, Unproven } from '../../../scripts/conformance/check.ts';
import type { Target } from '../../../scripts/conformance/context.ts';
import { type Limits, runChecks } from '../../../scripts/conformance/run.ts';

const TARGET: Target = {
  url: 'http://127.0.0.1:9',
  headers: {},
  model: undefined,
  fixture: false,
  pid: undefined,
  limitBytes: undefined,
  startup: undefined,
  timeoutMs: 1000,
};

const wrong = async (): Promise<never> => {
  throw new Error('wrong');
};
const right = async (): Promise<void> => {};

const check = (run: Check['run'], more: Partial<Check> = {}): Check => ({ number: 1, title: 'a', run, ...more });

async function judge(one: Check, limits: Limits = {}) {
  const [result] = await runChecks([one], TARGET, limits, () => {});
  return [result!.verdict, ...result!.why];
}

test('every assertion that does not hold is reported, and the others are still run', async () => {
  const seen: string[] = [];
  const verdict = await judge(
    check(async (_, part) => {
      await part('one', wrong);
      await part('two', async () => void seen.push('two'));
      await part('three', wrong);
    }),
  );
  assert.deepEqual(verdict, ['fail', 'one: wrong', 'three: wrong']);
  assert.deepEqual(seen, ['two']);
});

test('an option that is missing is named, and what the server has not', async () => {
  const needy = check(right, { needs: ['fixture', 'pid'] });
  assert.deepEqual(await judge(needy), ['unproven', 'needs --fixture, --pid']);
  const lacking = check(async () => {
    throw new Unproven('it has no versions');
  });
  assert.deepEqual(await judge(lacking), ['unproven', 'it has no versions']);
});

test('an assertion that fails is not hidden by what could not be proven after it', async () => {
  const both = check(async (_, part) => {
    await part('one', wrong);
    throw new Unproven('it has no versions');
  });
  assert.deepEqual(await judge(both), ['fail', 'one: wrong']);
});

test("a host's limit excuses the assertions it is about, no others, and only while they fail", async () => {
  const limits: Limits = { 1: { why: 'the framework', parts: /^one$/ } };
  const failing = (...titles: string[]) =>
    check(async (_, part) => {
      for (const title of ['one', 'two']) await part(title, titles.includes(title) ? wrong : right);
    });
  assert.deepEqual(await judge(failing('one'), limits), ['cannot', 'the framework', 'one: wrong']);
  assert.deepEqual(await judge(failing('one', 'two'), limits), ['fail', 'two: wrong']);
  assert.deepEqual(await judge(failing(), limits), [
    'fail',
    "it holds, and is listed as what this host can't do: the framework",
  ]);
});

test('a failure shows the request that it came from', async () => {
  const [verdict, why] = await judge(
    check(async ({ send }, part) => {
      await part('one', () => send({ method: 'POST', path: '/v2/x', headers: { A: 'b' }, body: '{"a":"\u0000"}' }));
    }),
  );
  assert.equal(verdict, 'fail');
  assert.match(why!, /^one: .*ECONNREFUSED.*\n +POST \/v2\/x \| A: b \| "\{\\"a\\":\\"\\u0000\\"\}"$/);
});
