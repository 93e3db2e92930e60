import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { costOfMillion } from '../../../functions/cli/prices/cost.ts';
import { LIST_PRICES, readPrices } from '../../../functions/cli/prices/prices.ts';
import { ServingError } from '../../../functions/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'prices-'));
after(() => rmSync(folder, { recursive: true }));

function write(text: string): string {
  const file = join(folder, 'prices.json');
  writeFileSync(file, text);
  return file;
}

test("a file's prices replace those of the list, and keep their sources and their region", () => {
  const file = write(
    JSON.stringify({
      region: 'europe-west1',
      prices: { spotCpuHour: 0.015, podCpuHour: { price: 0.05, date: '2026-11', source: 'https://example.com/gke' } },
    }),
  );
  const { prices, region, sources } = readPrices(file);
  assert.deepEqual(prices, { ...LIST_PRICES.prices, spotCpuHour: 0.015, podCpuHour: 0.05 });
  assert.equal(region, 'europe-west1');
  assert.deepEqual(sources, [file, 'https://example.com/gke, 2026-11', ...LIST_PRICES.sources]);
});

test('the list itself is such a file', () => {
  const { prices } = readPrices(join(import.meta.dirname, '../../../functions/cli/prices/prices.json'));
  assert.deepEqual(prices, LIST_PRICES.prices);
});

test('a file that has no prices is refused with the name of the file and of the price', () => {
  const cases: [text: string, message: RegExp][] = [
    ['{"prices"', /prices\.json is not JSON: /],
    ['[]', /prices\.json: the document: .*; the prices are activeCpuSecond, /],
    ['{"prices":{"spotCpuHour":-1}}', /prices\.json: prices\.spotCpuHour: /],
    ['{"prices":{"cpu":1}}', /prices\.json: prices: .*"cpu"/],
    ['{"currency":"EUR","prices":{}}', /prices\.json: currency: .*"USD"/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => readPrices(write(text)),
      (error) => error instanceof ServingError && error.code === 'INVALID_INPUT' && message.test(error.message),
      text,
    );
  }
  assert.throws(() => readPrices(join(folder, 'nowhere.json')), { code: 'ENOENT' });
});

test('a million predictions cost their time at full load, and on request-based billing a fee for each request', () => {
  const { prices } = LIST_PRICES;
  // 1000 s of 2 vCPUs and 4 GiB.
  const cost = costOfMillion({ rate: 1000, cpu: 2, memoryGiB: 4 }, prices);
  const near = (got: number, expected: number): void => assert.ok(Math.abs(got - expected) < 1e-9, `${got}`);
  near(cost.cloudRunRequests, 1000 * (2 * 0.000024 + 4 * 0.0000025) + 0.4);
  near(cost.cloudRunInstances, 1000 * (2 * 0.000018 + 4 * 0.000002));
  near(cost.gke, (1000 / 3600) * (2 * 0.0445 + 4 * 0.0049225));
  near(cost.gkeSpot, (1000 / 3600) * (2 * 0.0133 + 4 * 0.0014767));
  near(
    costOfMillion({ rate: 1000, cpu: 2, memoryGiB: 4, rowsPerRequest: 100 }, prices).cloudRunRequests,
    cost.cloudRunRequests - 0.396,
  );
});
