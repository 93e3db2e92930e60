import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { buildClient } from '../../scripts/build-client.ts';
import { evaluate, launch, open, violations } from './browser.ts';
import { ROOT, run, type Served, serve } from './program.ts';
import { PYTHONS, WITH_CLIENT } from './python.ts';

let server: Served;
let browser: Browser;
let url: string;

before(async () => {
  server = await serve(['dist/server.js']);
  url = `http://localhost:${server.port}/`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** The page with the model's form on it. */
async function openForm(...rest: [Parameters<typeof open>[2]?, Parameters<typeof open>[3]?]) {
  const opened = await open(browser, url, ...rest);
  await opened.page.getByRole('button', { name: 'Predict' }).and(opened.page.locator(':enabled')).waitFor();
  return opened;
}

async function predict(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Predict' }).click();
  await page.locator('.prediction').waitFor();
}

const rowsOfCsv = (count: number): string =>
  `petal_length,petal_width,sepal_length,sepal_width,note\n${'1.4,0.2,5.1,3.5,"a, b"\n'.repeat(count)}`;
/** Chooses a file, sees its preview and predicts its rows. */
async function predictFile(page: Page, name: string, text: string): Promise<void> {
  await page.getByLabel('Choose a CSV').setInputFiles(file(name, text));
  await page.getByRole('button', { name: 'Predict all rows' }).click();
}

const file = (name: string, text: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });

async function download(page: Page, button: string): Promise<string> {
  const [saved] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button }).click(),
  ]);
  return readFileSync(await saved.path(), 'utf8');
}

describe('the page in Chromium', { concurrency: 1 }, () => {
  test('says what the model is and does, has its example filled in, and predicts: class, bars and latency', async () => {
    const { page, complaints } = await openForm();
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'iris');
    assert.match((await page.locator('#description').textContent()) ?? '', /Species of an iris/);
    assert.equal(await page.locator('#state').textContent(), 'ready');
    assert.equal(await page.getByLabel('sepal_length').inputValue(), '5.1');
    await predict(page);
    assert.equal(await page.locator('.prediction').textContent(), 'setosa');
    assert.match((await page.locator('#result').textContent()) ?? '', /Answered in \d+(\.\d)? ms/);
    const bars = page.locator('.bars li');
    assert.deepEqual(await bars.allTextContents(), ['setosa97.8 %', 'versicolor2.2 %', 'virginica< 0.0001 %']);
    const widths = await evaluate<number[]>(
      page,
      "[...document.querySelectorAll('.bar')].map((bar) => bar.firstChild.offsetWidth / bar.offsetWidth)",
    );
    assert.ok(Math.abs(widths[0]! - 0.978) < 0.02 && Math.abs(widths[1]! - 0.022) < 0.02, String(widths));
    assert.equal(await page.locator('#history-rows tr').count(), 1);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('works by keyboard alone: typing, Enter, tabs by arrow keys, and an earlier input again', async () => {
    const { page } = await openForm();
    await page.getByLabel('sepal_length').focus();
    for (const value of ['6.3', '2.9', '5.6', '1.8']) {
      await page.keyboard.press('Control+A');
      await page.keyboard.type(value);
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.getByText('virginica').first().waitFor();
    await page.getByRole('button', { name: 'Example' }).press('Enter');
    assert.equal(await page.getByLabel('petal_length').inputValue(), '1.4');
    await page.getByRole('button', { name: 'Use again' }).press('Enter');
    assert.equal(await page.getByLabel('petal_length').inputValue(), '5.6');
    const tab = (name: string) => page.getByRole('tab', { name });
    await tab('curl').focus();
    await page.keyboard.press('ArrowRight');
    assert.equal(await tab('Python').getAttribute('aria-selected'), 'true');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await tab('TypeScript').getAttribute('aria-selected'), 'true');
    await page.context().close();
  });

  test('the request as curl, Python and TypeScript runs as it stands with the clients, and answers what the page does', async (t) => {
    const { page } = await openForm({ permissions: ['clipboard-read', 'clipboard-write'] });
    const folder = mkdtempSync(join(tmpdir(), 'samples-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const client = join(folder, 'node_modules/onnx-cloud-run-client');
    await buildClient(join(client, 'dist'));
    copyFileSync(join(ROOT, 'clients/typescript/package.json'), join(client, 'package.json'));
    const programs = {
      curl: (code: string) => run('sh', ['-c', code]),
      Python: (code: string) => run(PYTHONS[0]!, ['-c', code], WITH_CLIENT.env),
      TypeScript: (code: string) => {
        writeFileSync(join(folder, 'sample.mts'), code);
        return run(process.execPath, [join(folder, 'sample.mts')]);
      },
    };
    for (const [language, start] of Object.entries(programs)) {
      await page.getByRole('tab', { name: language }).click();
      const code = (await page.locator('#code').textContent()) ?? '';
      await page.getByRole('button', { name: 'Copy', exact: true }).click();
      await page.getByText('Copied').waitFor();
      assert.equal(await evaluate(page, 'navigator.clipboard.readText()'), code);
      const { stdout, stderr, code: exit } = await start(code);
      assert.equal(exit, 0, stderr);
      assert.match(stdout, /setosa/, language);
    }
    await page.context().close();
  });

  test('an input that is wrong is marked, said in words and gone to, whether here or by the server', async () => {
    const { page } = await openForm();
    const field = page.getByLabel('sepal_width');
    for (const [typed, words] of [
      ['wide', /^sepal_width: give a number/],
      ['1e60', /^sepal_width: .*float32/],
    ] as const) {
      await field.fill(typed);
      await page.getByRole('button', { name: 'Predict' }).click();
      await page.locator('[aria-invalid]').waitFor();
      const described = (await field.getAttribute('aria-describedby')) ?? '';
      assert.match((await page.locator(`#${described.split(' ')[1]}`).textContent()) ?? '', words);
      assert.equal(await evaluate(page, 'document.activeElement.id'), await field.getAttribute('id'));
      assert.match((await page.locator('.failure').textContent()) ?? '', /does not take this/);
      assert.match((await page.locator('.detail').textContent()) ?? '', words);
    }
    await field.fill('3.5');
    await predict(page);
    assert.equal(await page.locator('[aria-invalid]').count(), 0);
    await page.context().close();
  });

  test('a server that cannot be reached is reported in words', async () => {
    const { page } = await openForm();
    await page.context().setOffline(true);
    await page.getByRole('button', { name: 'Predict' }).click();
    await page.getByText('The server cannot be reached.').waitFor();
    await page.context().close();
  });

  test('1000 rows of CSV: a preview, a histogram, a table, and the results with the columns of the file', async () => {
    const { page, complaints } = await openForm();
    await page.getByLabel('Choose a CSV').setInputFiles(file('rows.csv', rowsOfCsv(1000)));
    const heads = page.locator('#batch-result th');
    await heads.first().waitFor();
    assert.deepEqual(await heads.allTextContents(), [
      ...['petal_length', 'petal_width', 'sepal_length', 'sepal_width'].map((name) => `${name}input`),
      'notekept',
    ]);
    assert.equal(await page.locator('#batch-result tbody tr').count(), 5);
    await page.getByRole('button', { name: 'Predict all rows' }).click();
    await page.getByText(/^1,000 rows in .* 0 failed/).waitFor();
    assert.deepEqual(await page.locator('#batch-result .bars li').allTextContents(), ['setosa1,000']);
    assert.equal(await page.locator('#batch-result tbody tr').count(), 100);
    const ndjson = (await download(page, 'Download NDJSON')).trim().split('\n');
    assert.equal(ndjson.length, 1000);
    assert.ok(ndjson.every((line, i) => JSON.parse(line).index === i && JSON.parse(line).label === 'setosa'));
    const csv = (await download(page, 'Download CSV')).trim().split('\r\n');
    assert.equal(csv.length, 1001);
    assert.match(csv[0]!, /^index,petal_length,petal_width,sepal_length,sepal_width,note,prediction,label,label,prob/);
    assert.match(csv[1000]!, /^999,1\.4,0\.2,5\.1,3\.5,"a, b",0,setosa,0,0\.97\d+,/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('an empty number of a file is a missing value, and a row that fails is shown with its reason', async () => {
    const { page } = await openForm();
    await predictFile(
      page,
      'rows.csv',
      'id,sepal_length,sepal_width,petal_length,petal_width\na,,3.5,1.4,0.2\nb,x,3.5,1.4,0.2\n',
    );
    await page.getByText(/^2 rows in .* 1 failed/).waitFor();
    assert.deepEqual(await page.locator('.failures li').allTextContents(), [
      'Row 2 sepal_length: expected a number (float32), got "x"',
    ]);
    assert.match((await page.locator('#batch-result tbody tr').nth(1).textContent()) ?? '', /^2failedbx/);
    await page.context().close();
  });

  test('NDJSON that is dropped; a row that is wrong fails alone', async () => {
    const { page } = await openForm();
    await evaluate(
      page,
      `{
        const files = new DataTransfer();
        files.items.add(new File(['{"features":[5.1,3.5,1.4,0.2]}\\n[1,2]\\n[6.3,2.9,5.6,1.8]'], 'rows.ndjson'));
        const drop = document.getElementById('drop');
        drop.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
      }`,
    );
    await page.getByRole('button', { name: 'Predict all rows' }).click();
    await page.getByText(/^3 rows in .* 1 failed/).waitFor();
    const lines = (await download(page, 'Download NDJSON')).trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).label ?? JSON.parse(line).error.code),
      ['setosa', 'INVALID_INPUT', 'virginica'],
    );
    await page.context().close();
  });

  test('a batch shows how far it is, and can be cancelled; what came before can be downloaded', async () => {
    let requests = 0;
    const third = Promise.withResolvers<void>();
    const { page } = await openForm({}, (one) =>
      one.route('**/batch_predict*', async (route) => {
        // The third never comes back.
        if (++requests < 3) await route.continue();
        else third.resolve();
      }),
    );
    await predictFile(page, 'rows.csv', rowsOfCsv(2000));
    const bar = page.getByRole('progressbar');
    await third.promise;
    assert.ok((await evaluate<number>(page, "document.getElementById('progress').position")) > 0.4);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Cancelled').waitFor();
    assert.equal(await bar.isVisible(), false);
    assert.equal((await download(page, 'Download NDJSON')).trim().split('\n').length, 1000);
    await page.context().close();
  });

  test('a file that is none of the kind is refused in words', async () => {
    const { page } = await openForm();
    for (const [text, words] of [
      ['', /It has no rows/],
      ['sepal_length,sepal_width\n1,2\n', /no column petal_length, petal_width/],
    ] as const) {
      await page.getByLabel('Choose a CSV').setInputFiles(file('rows.csv', text));
      await page.locator('#batch-result').getByText(words).waitFor();
    }
    await page.context().close();
  });

  test('what a model says of itself is text, and nothing of it is run', async () => {
    const evil = '<img src=x onerror="document.title=\'run\'"><b>x</b>';
    const { page, complaints } = await openForm({}, (one) =>
      one.route('**/examples', async (route) => {
        const document = await (await route.fetch()).json();
        const { model } = document;
        Object.assign(model, {
          name: evil,
          description: evil,
          features: [evil, 'b', 'c', 'd'],
          classes: [evil, 'b', 'c'],
        });
        await route.fulfill({ json: document });
      }),
    );
    await predict(page);
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), evil);
    assert.equal(await page.locator('.bar-name').first().textContent(), evil);
    assert.equal(await page.locator('main img, main b').count(), 0);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a model that did not load is shown with its reason, and nothing can be sent to it', async () => {
    const status = { name: 'iris', state: 'failed', load_seconds: 1, reason: 'golden.json: rows[0] differs' };
    const { page } = await open(browser, url, {}, (one) =>
      one.route('**/health', (route) => route.fulfill({ json: { status: 'ok', model: status, uptime: 1 } })),
    );
    await page.getByText('The model did not load: golden.json: rows[0] differs').waitFor();
    assert.equal(await page.locator('#state').textContent(), 'failed');
    assert.equal(await page.getByRole('button', { name: 'Predict' }).count(), 0);
    await page.context().close();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [360, 1440]) {
      test(`${colorScheme}, ${width} px wide: nothing sticks out, and axe finds nothing`, async () => {
        const { page } = await openForm({ colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
        await predictFile(page, 'rows.csv', rowsOfCsv(10));
        await page.getByText(/^10 rows in/).waitFor();
        await predict(page);
        assert.deepEqual(await violations(page), []);
        assert.ok((await evaluate<number>(page, 'document.documentElement.scrollWidth')) <= width);
        // To be looked at: PAGE_SHOTS=folder node --test test/system/page.system.ts
        const shots = process.env.PAGE_SHOTS;
        if (shots) await page.screenshot({ path: `${shots}/${width}-${colorScheme}.png`, fullPage: true });
        await page.getByLabel('petal_width').fill('x');
        await page.getByRole('button', { name: 'Predict' }).click();
        await page.locator('.failure').waitFor();
        assert.deepEqual(await violations(page), []);
        await page.context().close();
      });
    }
  }
});

test('/docs shows the document and sends its examples, from this server alone', async () => {
  const { page, complaints } = await open(browser, `${url}docs`);
  await page.locator('#operations-Predict-predict .opblock-summary-control').click();
  const summary = await page.locator('#operations-Predict-predict .opblock-summary-description').textContent();
  assert.equal(summary, 'Predicts one row with the model behind /predict.');
  await page.locator('#operations-Predict-predict .execute').click();
  await page.locator('.live-responses-table').getByText('setosa').first().waitFor();
  assert.deepEqual(complaints, []);
  await page.context().close();
});

describe('a server that authenticates callers', { concurrency: 1 }, () => {
  const TOKEN = 'token-of-the-page';
  let folder = '';
  let closed: Served;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'page-token-'));
    const tokens = [{ name: 'page', sha256: createHash('sha256').update(TOKEN).digest('hex') }];
    writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ tokens }));
    closed = await serve(['dist/server.js'], {
      AUTH_TOKEN_FILE: join(folder, 'tokens.json'),
      AUTH_OPEN: '/,/docs',
      INFERENCE_PROCESSES: '1',
    });
  });
  after(async () => {
    await closed?.stop();
    rmSync(folder, { recursive: true });
  });

  test('the page asks for a token, refuses a wrong one in words, and predicts with the right one', async () => {
    const { page } = await open(browser, `http://localhost:${closed.port}/`);
    await page.getByText('The server asks for a token.').waitFor();
    assert.equal(await page.locator('#main').isVisible(), false);
    assert.deepEqual(await violations(page), []);
    for (const [token, seen] of [
      ['wrong', page.getByText('The server does not take this token')],
      [TOKEN, page.getByRole('button', { name: 'Predict' }).and(page.locator(':enabled'))],
    ] as const) {
      await page.getByLabel('Bearer token').fill(token);
      await page.getByRole('button', { name: 'Use it' }).click();
      await seen.waitFor();
    }
    await predict(page);
    assert.equal(await page.locator('.prediction').textContent(), 'setosa');
    const code = (await page.locator('#code').textContent()) ?? '';
    assert.match(code, /-H "Authorization: Bearer \$TOKEN"/);
    const { stdout } = await run('sh', ['-c', code], { TOKEN });
    assert.match(stdout, /setosa/);
    assert.ok(!(await page.content()).includes(TOKEN) && !page.url().includes(TOKEN));
    assert.equal(await page.locator('#server-figures').isVisible(), false);
    // It is in this tab alone, and stays there until it is forgotten.
    await page.reload();
    await page.getByRole('button', { name: 'Predict' }).and(page.locator(':enabled')).waitFor();
    await page.getByRole('button', { name: 'Token' }).click();
    await page.getByRole('button', { name: 'Forget it' }).click();
    await page.getByText('The server asks for a token.').waitFor();
    await page.context().close();
  });

  test('/docs sends the token of the page, and says which operations need one', async () => {
    const { page } = await open(browser, `http://localhost:${closed.port}/`);
    await page.getByLabel('Bearer token').fill(TOKEN);
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByRole('link', { name: 'API', exact: true }).click();
    const operation = page.locator('#operations-Predict-predict');
    await operation.locator('.authorization__btn').waitFor();
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.execute').click();
    await page.locator('.live-responses-table').getByText('setosa').first().waitFor();
    await page.context().close();
  });
});

test('live figures of the server are shown, and are left out where its metrics are on another port', async () => {
  const { page } = await openForm();
  await page.locator('#server-figures').waitFor();
  assert.match((await page.locator('#server-figures').textContent()) ?? '', /Queue\s*0.*Engines busy\s*0 \/ \d/s);
  await page.context().close();
  const other = await open(browser, url, {}, (one) =>
    one.route('**/metrics', (route) => route.fulfill({ status: 404 })),
  );
  await other.page.getByRole('button', { name: 'Predict' }).and(other.page.locator(':enabled')).waitFor();
  await predict(other.page);
  await other.page.locator('#page-figures').waitFor();
  assert.equal(await other.page.locator('#server-figures').isVisible(), false);
  await other.page.context().close();
});
