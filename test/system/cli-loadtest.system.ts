import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { evaluate, launch, open, violations } from './browser.ts';
import { ROOT, run, type Served, serve } from './program.ts';

const CLI = join(ROOT, 'dist/cli.js');
const SHORT = ['--requests', '200', '--warm-up', '0'];

let folder: string;
let served: Served;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
  const routes = { AIP_PREDICT_ROUTE: '/vertex/predict', AIP_HEALTH_ROUTE: '/vertex/health' };
  served = await serve(['dist/server.js'], routes);
});
after(async () => {
  await served?.stop();
  rmSync(folder, { recursive: true });
});

async function load(...args: string[]) {
  const { code, stdout, stderr } = await run(process.execPath, [
    CLI,
    'loadtest',
    `http://localhost:${served.port}`,
    '--json',
    ...SHORT,
    ...args,
  ]);
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout);
}

for (const [format, ...more] of [
  ['native'],
  ['oip', '--batch', '3'],
  ['oip-binary', '--batch', '3'],
  ['tensorflow', '--model', 'iris'],
  ['vertex'],
] as const) {
  test(`the server takes all requests of the format ${format}, and the built generator shares them among threads`, async () => {
    const { result, server, threads } = await load('--format', format, ...more, '--threads', '2');
    assert.deepEqual([result.requests, result.ok, result.statuses, threads], [200, 200, { 200: 200 }, 2]);
    assert.ok(server.stages.length === 4 && server.servingCores > 0);
  });
}

test('the values of all responses are those of the golden rows, in both formats that are checked, and of a file', async () => {
  const golden = join(ROOT, 'models/iris/golden.json');
  for (const more of [['--check'], ['--check', '--format', 'oip'], ['--check', '--rows', golden]])
    assert.deepEqual((await load(...more)).result.wrong, 0);
});

test('rows of a CSV file are sent in turn', async () => {
  const file = join(folder, 'rows.csv');
  writeFileSync(file, 'petal_width,sepal_length,sepal_width,petal_length\n0.2,5.1,3.5,1.4\n1.8,6.3,2.9,5.6\n');
  const { title, result } = await load('--rows', file);
  assert.match(title, /2 rows of .*rows\.csv$/);
  assert.equal(result.ok, 200);
});

test('the search finds a rate that meets the objectives', async () => {
  const args = [
    '--find-capacity',
    '--slo',
    'errors=0%',
    '--rate',
    '50',
    '--duration',
    '500ms',
    '--within',
    '3s',
    '--requests',
    '0',
  ];
  const { capacity, verdicts } = await load(...args);
  assert.ok(capacity.rate >= 50 && capacity.trials.length >= 2, JSON.stringify(capacity));
  assert.equal(verdicts[0].met, true);
});

test('the HTML report opens in Chromium without a complaint, and axe finds nothing wrong with it', async (t) => {
  const file = join(folder, 'report.html');
  await load('--connections', '1,4', '--requests', '0', '--duration', '1s', '--slo', 'p99=10s', '--html', file);
  const browser = await launch();
  t.after(() => browser.close());
  const url = pathToFileURL(file).href;
  const { page, complaints } = await open(browser, url);
  assert.equal(await page.locator('h1').textContent(), `Load test of http://localhost:${served.port}/predict`);
  assert.equal(await page.locator('svg').count(), 2);
  // The style applies: the policy has its hash.
  assert.equal(await evaluate(page, "getComputedStyle(document.querySelector('svg .bar')).fill"), 'rgb(9, 105, 218)');
  assert.deepEqual(
    complaints.filter((line) => !line.endsWith(url)),
    [],
  );
  assert.deepEqual(await violations(page), []);
  assert.ok(readFileSync(file).length < 100_000);
});
