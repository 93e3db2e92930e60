import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIST_PRICES } from '../../functions/cli/prices/prices.ts';
import { costsOf } from '../../scripts/costs/costs.ts';
import { readPage, section, table } from '../helpers/readme.ts';

const PRICES = LIST_PRICES.prices;

const PAGE = 'docs/deploy/costs.md';
const DATA = join(import.meta.dirname, '../../functions/cli/prices/prices.json');
const EXAMPLE = {
  requests: 1_000_000,
  ms: 100,
  overlap: 1,
  cpu: 1,
  memory: 1,
  instances: 1,
  pods: 2,
  'pod-cpu': 0.5,
  'pod-memory': 0.5,
} as const;

function costs(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  const script = join(import.meta.dirname, '../../scripts/costs.ts');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
}

/** The bill with the free tier and without, by the name of each way. */
const billsOf = (usage: Parameters<typeof costsOf>[0], prices = PRICES): Record<string, [number, number]> =>
  Object.fromEntries(costsOf(usage, prices).map(({ name, dollars, withoutFree }) => [name, [dollars, withoutFree]]));

const near = (got: number, expected: number): void => assert.ok(Math.abs(got - expected) < 0.005, `${got}`);

test('the table of the costs page is what the command computes', () => {
  assert.deepEqual(
    table(section(PAGE, 'The example'), 'a month, in US dollars').map((cells) => cells.slice(0, 3)),
    costsOf(EXAMPLE, PRICES).map(({ name, dollars, withoutFree }) => [
      name,
      dollars.toFixed(2),
      withoutFree.toFixed(2),
    ]),
  );
});

test('the prices of the costs page are those of the data file, with the region, the date and the sources', () => {
  const { prices, region } = JSON.parse(readFileSync(DATA, 'utf8')) as {
    region: string;
    prices: Record<string, { price: number; of: string; date: string; source: string }>;
  };
  const text = section(PAGE, 'Prices');
  assert.deepEqual(
    table(text, 'name').map(([name, price, of]) => [name, Number(price), of]),
    Object.entries(prices).map(([name, { price, of }]) => [`\`${name}\``, price, of]),
  );
  assert.deepEqual(PRICES, Object.fromEntries(Object.entries(prices).map(([name, { price }]) => [name, price])));
  assert.ok(text.includes(`for ${region} `));
  for (const { date, source } of Object.values(prices)) {
    const month = new Date(`${date}-01T00:00Z`).toLocaleDateString('en-US', {
      month: 'long',
      year: 'numeric',
      timeZone: 'UTC',
    });
    assert.ok(text.replaceAll('\n', ' ').includes(month), month);
    assert.ok(text.includes(`](${source})`), source);
  }
});

test('the formulas: time in steps of 100 ms shared by requests that overlap, and each free amount subtracted from its own product', () => {
  const bills = billsOf({ ...EXAMPLE, requests: 10_000_000, ms: 101, overlap: 4 });
  // 10 million × 0.2 s ÷ 4 = 500,000 s.
  const active = 500_000 * (0.000024 + 0.0000025) + 4;
  const free = 180_000 * 0.000024 + 360_000 * 0.0000025 + 0.8;
  const [bill, withoutFree] = bills['Cloud Run, request-based, from 0 instances']!;
  near(withoutFree, active);
  near(bill, active - free);
  near(bills['Cloud Run, request-based, 1 kept warm']![1], active + (2_628_000 - 500_000) * 0.000005);
  near(bills['Cloud Run, instance-based, 1 always']![1], 2_628_000 * 0.00002);
});

test('the free tier makes no bill negative, and pays for one cluster', () => {
  for (const [dollars] of Object.values(billsOf({ ...EXAMPLE, requests: 1, instances: 0, pods: 0 }))) near(dollars, 0);
  const dear = billsOf({ ...EXAMPLE, pods: 0 }, { ...PRICES, clusterHour: 0.2 });
  near(dear['GKE Autopilot, 0 pods']![0], 146 - 74.4);
});

test('the claims of the page: the break-even of instance-based billing, and the price of a hundred million requests', () => {
  const share = (0.00002 - 0.000005) / (0.0000265 - 0.000005);
  assert.match(readPage(PAGE), new RegExp(`more than ${Math.round(share * 100)} % of the time`));
  assert.ok((100e6 - 2e6) * (PRICES.millionRequests / 1e6) - 39 < 1);
});

test('the command takes other numbers and prices, has a help text, and refuses what is no number with one line', () => {
  assert.match(
    costs('--requests', '1e6', '--price', 'millionRequests=4').stdout,
    /from 0 instances +\$ +0\.00 .*\$ +6\.65\n/,
  );
  assert.match(costs('--help').stdout, /^usage: node scripts\/costs\.ts .*--overlap N/s);
  for (const args of [['--cpu', 'x'], ['--price', 'cpu=1'], ['--unknown'], ['--overlap', '0']]) {
    const { status, stderr, stdout } = costs(...args);
    assert.equal(status, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /^[^\n]+\n$/);
  }
});
