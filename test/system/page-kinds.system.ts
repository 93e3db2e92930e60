import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type ListeningServer, startServer } from '../../scripts/server-process.ts';
import { header, npy } from '../page/form/npy-file.ts';
import { evaluate, launch, open, violations } from './browser.ts';
import { KINDS, writeKinds } from './page-models.ts';
import { ROOT } from './program.ts';

let folder = '';
let server: ListeningServer;
let browser: Browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'page-kinds-'));
  writeKinds(join(folder, 'models'));
  const settings = { MODEL_URI: join(folder, 'models'), INFERENCE_PROCESSES: '1' };
  [server, browser] = await Promise.all([startServer(['dist/server.js'], settings, ROOT), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const ready = (page: Page) => button(page, 'Predict').and(page.locator(':enabled')).waitFor();

async function predict(page: Page): Promise<string> {
  await button(page, 'Predict').click();
  await page.locator('.prediction').waitFor();
  return (await page.locator('#result').textContent()) ?? '';
}

/** The page of a model, by a link. */
async function openModel(fragment: string) {
  const opened = await open(browser, `${server.url}/#${fragment}`, { viewport: { width: 1280, height: 900 } });
  await ready(opened.page);
  return opened;
}

/** To be looked at: PAGE_SHOTS=folder node --test test/system/page-kinds.system.ts */
const shots = process.env.PAGE_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const WIDTHS = [360, 768, 1440, 1920];
/** The kinds whose pages differ most: axe takes long. */
const INSPECTED = new Set(['list', 'churn', 'image', 'logits']);

/** Nothing sticks out at any width, and axe finds nothing, in light and dark. */
async function inspect(page: Page, name: string): Promise<void> {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  const isAll = INSPECTED.has(name) || shots !== undefined;
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of isAll ? WIDTHS : [360, 1920]) {
      await page.setViewportSize({ width, height: 900 });
      const wide = await evaluate<number>(page, 'document.documentElement.scrollWidth');
      assert.ok(wide <= width, `${name} at ${width}: ${wide}`);
      if (shots) await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
    if (!isAll) return;
    await page.setViewportSize({ width: colorScheme === 'light' ? 360 : 1440, height: 900 });
    assert.deepEqual(await violations(page), [], name);
  }
}

/** What the example of each kind gives. */
const RESULTS: Readonly<Record<string, RegExp>> = {
  churn: /^leaves.*scores.*leaves.*stays/,
  vector: /^3\.[34]/,
  table: /^100\.1/,
  words: /^\["a","b"\]/,
  image: /^red33\.3 %.*colour/,
  picture: /^Tensor \[1, 16, 16\].*high/,
  text: /^0Answered/,
  outputs: /^1Answered.*i1r0\.4/,
  logits: /^class \d+, a name as long as those of ImageNet0\.\d %.*Show more of 990 others/,
  tags: /^billing.*urgent0\.56/,
  margins: /^4 values.*scores\[0\]-0\.1797/,
  integers: /^\dAnswered/,
  missing: /^0, 1, 2.*y\[0\]0/,
  fixed: /^\d.*y\[0\]/,
  'any-rank': /^0\.2Answered/,
  wide: /^class 1\d/,
};

describe('the page of each kind of model, in a repository without a main model', { concurrency: 1 }, () => {
  test('the repository is a list to choose from, and nothing is loaded before', async () => {
    const { page, complaints } = await open(browser, `${server.url}/`);
    const cards = page.locator('#catalogue-list button');
    await cards.first().waitFor();
    assert.equal(await cards.count(), Object.keys(KINDS).length + 1);
    assert.equal(await page.locator('#main').isVisible(), false);
    await inspect(page, 'list');
    const { models } = (await (await fetch(`${server.url}/models`)).json()) as {
      models: { versions: { state: string }[] }[];
    };
    assert.ok(models.every(({ versions }) => versions.every(({ state }) => state === 'idle')));
    await cards.getByText('integers').click();
    await ready(page);
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'integers');
    await page.getByLabel('Model', { exact: true }).selectOption('tags');
    await page.getByRole('heading', { level: 1, name: 'tags' }).waitFor();
    await ready(page);
    assert.match(page.url(), /#model=tags$/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('every kind: its example predicts, at every width', async (t) => {
    const { page, complaints } = await open(browser, `${server.url}/`);
    for (const [name, expected] of Object.entries(RESULTS)) {
      await t.test(name, async () => {
        assert.ok(name in KINDS);
        // The fragment alone changes: the page shows another model without being loaded again.
        await page.goto(`${server.url}/#model=${name}`);
        await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
        await ready(page);
        await button(page, 'Example').click();
        assert.match(await predict(page), expected);
        assert.equal(await page.locator('[aria-invalid]').count(), 0);
        await inspect(page, name);
      });
    }
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a version is chosen, and predicts', async () => {
    const { page } = await openModel('model=versions');
    assert.equal(await page.locator('#version').textContent(), 'version 3');
    assert.match(await predict(page), /^3\.1, 3\.3/);
    await page.getByLabel('Version', { exact: true }).selectOption('1');
    await page.getByText('version 1', { exact: true }).waitFor();
    await ready(page);
    assert.match(await predict(page), /^1\.1, 1\.3/);
    assert.match((await page.locator('#code').textContent()) ?? '', /models\/versions\/versions\/1\/predict/);
    await page.context().close();
  });

  test('categories are drop-downs; a golden row of the gallery fills in all fields and predicts', async () => {
    const { page } = await openModel('model=churn');
    const contract = page.getByLabel('contract', { exact: true });
    assert.deepEqual(await contract.locator('option').allTextContents(), ['0', '1', '2', 'missing']);
    await page.locator('#cards button').nth(2).click();
    await page.locator('.prediction').waitFor();
    assert.equal(await contract.inputValue(), '2');
    assert.equal(await page.getByLabel('average_download').inputValue(), 'NaN');
    await contract.selectOption('missing');
    await page.getByLabel('average_download').fill('');
    await predict(page);
    assert.match((await page.locator('#code').textContent()) ?? '', /\[54,60,1,"NaN",1,"NaN"\]/);
    await page.context().close();
  });

  test('a link carries the model and its inputs, and is not sent to the server', async () => {
    const { page } = await openModel('model=table');
    await page.getByLabel('age', { exact: true }).fill('41.5');
    await page.getByLabel('city', { exact: true }).selectOption('Rome');
    await button(page, 'Copy link').click();
    await page.getByText(/Link copied|address bar/).waitFor();
    const link = page.url();
    assert.match(link, /\/#model=table&features=/);
    const other = await openModel(new URL(link).hash.slice(1));
    assert.equal(await other.page.getByLabel('age', { exact: true }).inputValue(), '41.5');
    assert.match(await predict(other.page), /^241\.5/);
    await Promise.all([page.context().close(), other.page.context().close()]);
  });

  test('a .npy file fills in a picture; another shape is refused with both shapes', async () => {
    const { page, complaints } = await openModel('model=image');
    const pixels = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => (i >= 2 * 32 * 32 ? 9 : (i % 32) / 32));
    const file = (name: string, shape: string, values: Float32Array) => ({
      name,
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(npy(header('<f4', shape), new Uint8Array(values.buffer))),
    });
    const input = page.locator('input[type="file"]').first();
    await input.setInputFiles(file('wrong.npy', '(32, 32, 3)', pixels));
    await page.getByText('image takes the shape [3, 32, 32], and the file has [32, 32, 3].').waitFor();
    await input.setInputFiles(file('sky.npy', '(1, 3, 32, 32)', pixels));
    await page.getByText('sky.npy: float32 [3, 32, 32]').waitFor();
    assert.equal(await page.locator('.loaded canvas').count(), 1);
    assert.match(await predict(page), /^blue/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('an integer that is empty is said to be so at its field, and a text of any length is typed as JSON', async () => {
    const { page } = await openModel('model=outputs');
    await page.getByLabel('x', { exact: true }).fill('');
    await button(page, 'Predict').click();
    await page.locator('.field-error', { hasText: 'x: it is empty, and int64 has no missing value' }).waitFor();
    await page.context().close();
    const text = await openModel('model=text');
    await text.page.getByLabel('input_ids', { exact: true }).fill('[1, 2, 3]');
    await text.page.getByLabel('attention_mask', { exact: true }).fill('[1, 1]');
    await button(text.page, 'Predict').click();
    await text.page.locator('.failure').waitFor();
    await text.page.getByLabel('attention_mask', { exact: true }).fill('[1, 1, 0]');
    assert.match(await predict(text.page), /^3Answered/);
    await text.page.context().close();
  });

  test('of two hundred fields one is found by its name, and the result stays in view', async () => {
    const { page } = await openModel('model=wide');
    await page.getByLabel(/Find one of 200/).fill('_199_');
    assert.equal(await page.locator('.grid .field:visible').count(), 1);
    await page.getByLabel(/Find one of 200/).fill('');
    await page.getByLabel('sensor_150_mean').scrollIntoViewIfNeeded();
    await predict(page);
    const top = await evaluate<number>(page, "document.getElementById('result').getBoundingClientRect().top");
    assert.ok(top > 0 && top < 900, String(top));
    await page.context().close();
  });
});

test('a repository with a main model begins with it; the picker changes the address of the requests, and back', async () => {
  const settings = { MODEL_URI: join(folder, 'models'), MODEL_NAME: 'versions', INFERENCE_PROCESSES: '1' };
  const main = await startServer(['dist/server.js'], settings, ROOT);
  try {
    const { page, complaints } = await open(browser, `${main.url}/`);
    const code = async () => (await page.locator('#code').textContent()) ?? '';
    await ready(page);
    assert.match(await code(), /'http:\/\/[^/]+\/predict'/);
    const model = page.getByLabel('Model', { exact: true });
    assert.equal(await model.locator('option:checked').textContent(), 'versions (/predict)');
    for (const [name, address] of [
      ['tags', /\/models\/tags\/predict'/],
      ['versions', /'http:\/\/[^/]+\/predict'/],
    ] as const) {
      await model.selectOption(name);
      await page.getByRole('heading', { level: 1, name }).waitFor();
      await ready(page);
      await predict(page);
      assert.match(await code(), address);
    }
    assert.deepEqual(complaints, []);
    await page.context().close();
  } finally {
    await main.stop();
  }
});
