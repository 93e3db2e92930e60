import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { type ListeningServer, startServer } from '../../scripts/server-process.ts';
import { REFS } from '../text/refs.ts';
import { evaluate, launch, open, violations } from './browser.ts';
import { ROOT, run } from './program.ts';

const MAX_BODY_BYTES = 1_000_000;
const IMAGES = join(REFS, 'images');

let folder = '';
let server: ListeningServer;
let browser: Browser;

/** The reference models, one with labels of which several hold, one that labels tokens, and one of pictures with an example. */
function writeModels(to: string): void {
  cpSync(join(REFS, 'models'), to, { recursive: true });
  const copy = (name: string, as: string): string => {
    cpSync(join(to, name), join(to, as), { recursive: true });
    return join(to, as);
  };
  const multi = copy('text-classifier', 'multi-label');
  renameSync(join(multi, 'config.multi_label.json'), join(multi, 'config.json'));
  const tagger = copy('text-embedding-bert', 'tagger');
  for (const name of ['modules.json', 'sentence_bert_config.json', 'config_sentence_transformers.json', '1_Pooling']) {
    rmSync(join(tagger, name), { recursive: true });
  }
  const config = JSON.parse(readFileSync(join(tagger, 'config.json'), 'utf8'));
  const id2label = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [i, `TAG${i}`]));
  Object.assign(config, { architectures: ['BertForTokenClassification'], id2label });
  writeFileSync(join(tagger, 'config.json'), JSON.stringify(config));
  const pictured = copy('image-classifier-resnet', 'pictured');
  const features = readFileSync(join(IMAGES, 'jpeg-baseline.jpg')).toString('base64');
  writeFileSync(join(pictured, 'model.json'), JSON.stringify({ example: { features } }));
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'page-media-'));
  mkdirSync(join(folder, 'models'));
  writeModels(join(folder, 'models'));
  const settings = {
    MODEL_URI: join(folder, 'models'),
    INFERENCE_PROCESSES: '1',
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
  };
  const camera = ['--use-fake-device-for-media-stream'];
  [server, browser] = await Promise.all([startServer(['dist/server.js'], settings, ROOT), launch(camera)]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const shown = async (page: Page): Promise<string> => (await page.locator('#result').textContent()) ?? '';
const code = async (page: Page, tab: string): Promise<string> => {
  await page.getByRole('tab', { name: tab }).click();
  return (await page.locator('#code').textContent()) ?? '';
};

/** The page of a model. */
async function openModel(name: string, options: BrowserContextOptions = {}) {
  // A secure context, which the camera needs.
  const url = server.url.replace('127.0.0.1', 'localhost');
  const opened = await open(browser, `${url}/#model=${name}`, options);
  await button(opened.page, 'Predict').and(opened.page.locator(':enabled')).waitFor();
  return opened;
}

async function predict(page: Page): Promise<string> {
  const rows = page.locator('#history-rows tr');
  const before = await rows.count();
  await button(page, 'Predict').click();
  // An earlier prediction is shown until then.
  await rows.nth(before).waitFor();
  return shown(page);
}

const chooser = (page: Page) => page.getByLabel('Choose a picture');

/** Gives the page a file by an event of the browser. */
async function give(page: Page, event: 'drop' | 'paste', name: string): Promise<void> {
  const bytes = readFileSync(join(IMAGES, name)).toString('base64');
  await evaluate(
    page,
    `{
      const bytes = Uint8Array.from(atob('${bytes}'), (letter) => letter.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([bytes], '${name}', { type: 'image/${name.endsWith('.png') ? 'png' : 'jpeg'}' }));
      const options = { bubbles: true, cancelable: true };
      if ('${event}' === 'paste') document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: files, ...options }));
      else document.getElementById('picture-drop').dispatchEvent(new DragEvent('drop', { dataTransfer: files, ...options }));
    }`,
  );
}

describe('a model of pictures on the page', { concurrency: 1 }, () => {
  for (const event of ['drop', 'paste'] as const) {
    test(`a picture by ${event} is shown, and predicted: its top label, and bars of all labels`, async () => {
      const { page, complaints } = await openModel('image-classifier-resnet');
      await give(page, event, 'jpeg-baseline.jpg');
      await page.locator('.prediction').waitFor();
      assert.equal(await page.locator('.prediction').textContent(), 'apple, Malus');
      assert.equal(await page.locator('.share').textContent(), '49.3 %');
      const bars = await page.locator('.bars li').allTextContents();
      assert.deepEqual(bars.slice(0, 2), ['apple, Malus49.3 %', 'bridge20.8 %']);
      assert.equal(bars.length, 10);
      await page.getByAltText('The picture that is sent: jpeg-baseline.jpg').waitFor();
      await page.getByText(/^jpeg-baseline\.jpg, .* kB, \d+ × \d+$/).waitFor();
      assert.equal(await page.locator('#batch-title').isVisible(), false);
      assert.equal(await button(page, 'Example').isVisible(), false);
      assert.deepEqual(complaints, []);
      await page.context().close();
    });
  }

  test('the bytes of the file are sent as they are, with the media type of the picture', async () => {
    const { page } = await openModel('image-classifier-resnet');
    const sent = page.waitForRequest((request) => request.method() === 'POST');
    await chooser(page).setInputFiles(join(IMAGES, 'webp-lossy.webp'));
    const request = await sent;
    const type = 'image/webp';
    assert.equal(await request.headerValue('content-type'), type);
    const body = readFileSync(join(IMAGES, 'webp-lossy.webp'));
    const own = await fetch(request.url(), { method: 'POST', headers: { 'Content-Type': type }, body });
    await page.locator('.prediction').waitFor();
    // The answer to a picture that the browser had written anew would differ.
    assert.equal(await page.getByLabel('Response', { exact: true }).textContent(), await own.text());
    await page.context().close();
  });

  test('a file that is too large, or no picture, is refused before it is sent; a broken one by the server, in words', async () => {
    const { page } = await openModel('image-classifier-resnet');
    let requests = 0;
    page.on('request', (request) => {
      if (request.method() === 'POST') requests++;
    });
    const file = (name: string, mimeType: string, size: number) => ({ name, mimeType, buffer: Buffer.alloc(size, 1) });
    const note = page.locator('#picture-error');
    await button(page, 'Predict').click();
    await page.getByText('There is no picture yet.').waitFor();
    for (const [given, words] of [
      [
        file('large.jpg', 'image/jpeg', MAX_BODY_BYTES + 100_000),
        'large.jpg has 1.1 MB, and the server takes 1.0 MB at most: choose a smaller picture.',
      ],
      [file('a.svg', 'image/svg+xml', 10), 'a.svg is image/svg+xml: choose a JPEG, PNG, GIF, WebP or AVIF file.'],
    ] as const) {
      await chooser(page).setInputFiles(given);
      await page.getByText(words).waitFor();
      assert.equal(await note.textContent(), words);
      assert.equal(await chooser(page).getAttribute('aria-invalid'), 'true');
    }
    assert.equal(requests, 0);
    await chooser(page).setInputFiles(join(IMAGES, 'bad-truncated.jpg'));
    await page.locator('.detail', { hasText: 'truncated' }).waitFor();
    assert.match(await shown(page), /does not take this input.*the jpeg of 17558 bytes is truncated/);
    assert.match((await note.textContent()) ?? '', /truncated/);
    await page.context().close();
  });

  test('the camera takes a picture, which is predicted, and is closed then', async () => {
    const { page, complaints } = await openModel('image-classifier-resnet', { permissions: ['camera'] });
    await button(page, 'Use the camera').press('Enter');
    const take = button(page, 'Take the picture').and(page.locator(':enabled'));
    await take.waitFor();
    assert.deepEqual(await violations(page), []);
    const sent = page.waitForRequest((request) => request.method() === 'POST');
    await take.press('Enter');
    assert.equal(await (await sent).headerValue('content-type'), 'image/jpeg');
    await page.locator('.prediction').waitFor();
    await page.getByAltText('The picture that is sent: camera.jpg').waitFor();
    assert.equal(await evaluate(page, "document.querySelector('video').srcObject"), null);
    assert.equal(await page.locator('video').isVisible(), false);
    await button(page, 'Use the camera').click();
    await button(page, 'Close the camera').click();
    assert.equal(await page.locator('video').isVisible(), false);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('a camera that is not allowed is said to be so, and a browser without one shows no button', async () => {
    const refused = await open(
      browser,
      `${server.url.replace('127.0.0.1', 'localhost')}/#model=image-classifier-resnet`,
      {},
      (page) =>
        page.addInitScript(
          "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))",
        ),
    );
    await button(refused.page, 'Use the camera').click();
    await refused.page.getByText('The browser does not allow this page the camera.').waitFor();
    await refused.page.context().close();
    const without = await open(browser, `${server.url}/#model=image-classifier-resnet`, {}, (page) =>
      page.addInitScript("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })"),
    );
    await chooser(without.page).waitFor({ state: 'attached' });
    assert.equal(await button(without.page, 'Use the camera').count(), 0);
    await without.page.context().close();
  });

  test('the example of model.json is filled in, and a small picture is used again from the list', async () => {
    const { page } = await openModel('pictured');
    await page.getByAltText('The picture that is sent: example.jpg').waitFor();
    assert.match(await predict(page), /^apple, Malus/);
    await chooser(page).setInputFiles(join(IMAGES, 'png-1bit.png'));
    await page.getByRole('cell', { name: 'png-1bit.png' }).waitFor();
    await button(page, 'Example').click();
    await page.getByAltText('The picture that is sent: example.jpg').waitFor();
    await page
      .getByRole('button', { name: /^Use again/ })
      .first()
      .click();
    await page.getByAltText('The picture that is sent: example.png').waitFor();
    await page.context().close();
  });

  test('the request as code sends the file: curl as it stands', async () => {
    const { page } = await openModel('image-classifier-resnet');
    await chooser(page).setInputFiles(join(IMAGES, 'jpeg-baseline.jpg'));
    await page.locator('.prediction').waitFor();
    assert.match(await code(page, 'Python'), /requests\.post\("http.*\/predict", data=picture, headers=headers\)/);
    assert.match(await code(page, 'TypeScript'), /body: await readFile\("jpeg-baseline\.jpg"\)/);
    const command = await code(page, 'curl');
    assert.match(command, /-H 'Content-Type: image\/jpeg' \\\n {2}--data-binary '@jpeg-baseline\.jpg'/);
    const { stdout } = await run('sh', ['-c', `cd '${IMAGES}' && ${command}`]);
    assert.match(stdout, /"prediction":"apple, Malus"/);
    await page.context().close();
  });
});

describe('a model of texts on the page', { concurrency: 1 }, () => {
  test('a classifier takes a text, and shows its labels as bars', async () => {
    const { page, complaints } = await openModel('text-classifier');
    await page.getByLabel('Text', { exact: true }).fill('It was good');
    assert.match(await predict(page), /^negative98\.3 %Answered in .*6 tokens.*Scores/);
    assert.deepEqual(await page.locator('.bars li').allTextContents(), [
      'negative98.3 %',
      'positive1.7 %',
      'neutral0.0012 %',
    ]);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test('labels of which several hold have a bar each, as probabilities of their own', async () => {
    const { page } = await openModel('multi-label');
    await page.getByLabel('Text', { exact: true }).fill('It was good');
    const words = await predict(page);
    const bars = await page.locator('.bars li').allTextContents();
    assert.equal(bars.length, 3);
    assert.ok(
      bars.every((bar) => /^(complaint|question|praise)[\d.]+ %$/.test(bar)),
      String(bars),
    );
    const held = bars
      .filter((bar) => Number(/([\d.]+) %/.exec(bar)![1]) >= 50)
      .map((bar) => bar.replace(/[\d.]+ %/, ''));
    assert.ok(words.startsWith(held.length === 0 ? 'No label' : held.join(', ')), words);
    await page.context().close();
  });

  test('a text that is cut off is said to be so, in words', async () => {
    const { page } = await openModel('text-classifier');
    await page.getByLabel('Text', { exact: true }).fill('good '.repeat(300));
    assert.match(
      await predict(page),
      /The text is too long for the model: it reads the first 128 tokens, and the end is cut off\./,
    );
    assert.equal(await page.locator('.warning').count(), 1);
    await page.context().close();
  });

  test('two texts are compared by their embeddings; the values of a vector are not shown as a whole', async () => {
    const { page, complaints } = await openModel('text-embedding-bert');
    await page.getByLabel('Text', { exact: true }).fill('It was good');
    await page.getByLabel('Compare with').fill('It was bad');
    const words = await predict(page);
    assert.match(words, /^0\.909Answered in .*Cosine similarity.*Dimensions64Text 1-0\.209787, 0\.04129/);
    assert.equal((await page.locator('#result dd').nth(1).textContent())!.split(',').length, 9);
    await page.getByLabel('Compare with').fill('');
    assert.match(await predict(page), /^64 dimensionsAnswered/);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("embeddings have code for OpenAI's client beside the native call, and other models do not", async () => {
    const { page } = await openModel('text-embedding-bert');
    await page.getByLabel('Text', { exact: true }).fill('It was good');
    await page.getByLabel('Compare with').fill('');
    const openAi = await code(page, 'OpenAI');
    assert.match(openAi, /OpenAI\(base_url="http:\/\/[^/]+\/v1", api_key="none"\)/);
    assert.match(openAi, /model="text-embedding-bert", input=texts/);
    const { stdout } = await run('sh', ['-c', await code(page, 'curl')]);
    assert.match(stdout, /"prediction":\[-0\.2097/);
    await page.getByLabel('Compare with').fill("It's bad");
    const two = await run('sh', ['-c', await code(page, 'curl')]);
    assert.match(two.stdout, /"done":true,"ok":2/);
    await page.getByRole('tab', { name: 'OpenAI' }).click();
    await page.getByLabel('Model', { exact: true }).selectOption('text-classifier');
    await page.getByRole('heading', { level: 1, name: 'text-classifier' }).waitFor();
    assert.equal(await page.getByRole('tab', { name: 'OpenAI' }).isVisible(), false);
    assert.equal(await page.getByRole('tab', { name: 'curl' }).getAttribute('aria-selected'), 'true');
    await page.context().close();
  });

  test('texts are sorted by their score for a query', async () => {
    const { page } = await openModel('reranker');
    await page.getByLabel('Query').fill('a b');
    await page.getByLabel('Texts').fill('x\n\ny z\nIt was good');
    const words = await predict(page);
    assert.match(words, /^It was goodAnswered in .*tokens/);
    const bars = await page.locator('.bars li').allTextContents();
    assert.deepEqual(
      bars.map((bar) => bar.replace(/0\.\d+$/, '')),
      ['It was good', 'y z', 'x'],
    );
    await page.context().close();
  });

  test('the entities of a text are marked in it', async () => {
    const { page } = await openModel('tagger');
    await page.getByLabel('Text', { exact: true }).fill('😀 Ada met Charles');
    assert.match(await predict(page), /^\d+ entit/);
    assert.ok((await page.locator('mark').count()) > 0);
    const marked = await evaluate<string>(
      page,
      "{const copy = document.querySelector('.marked').cloneNode(true); copy.querySelectorAll('.tag').forEach((tag) => tag.remove()); copy.textContent}",
    );
    assert.equal(marked, '😀 Ada met Charles');
    await page.context().close();
  });

  test('an empty text is said to be so at its field; a link carries the texts', async () => {
    const { page } = await openModel('text-embedding-bert', { permissions: ['clipboard-read', 'clipboard-write'] });
    await page.getByLabel('Text', { exact: true }).fill(' ');
    await button(page, 'Predict').click();
    await page.locator('.field-error', { hasText: 'Text: it is empty' }).waitFor();
    await page.getByLabel('Text', { exact: true }).fill('one');
    await page.getByLabel('Compare with').fill('two');
    await button(page, 'Copy link').click();
    await page.getByText('Link copied').waitFor();
    await page.reload();
    await button(page, 'Predict').and(page.locator(':enabled')).waitFor();
    assert.equal(await page.getByLabel('Text', { exact: true }).inputValue(), 'one');
    assert.equal(await page.getByLabel('Compare with').inputValue(), 'two');
    await page.context().close();
  });
});

/** To be looked at: PAGE_SHOTS=folder node --test test/system/page-media.system.ts */
const shots = process.env.PAGE_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

test('nothing sticks out and axe finds nothing, in light on a small screen and in dark on a large one', async () => {
  for (const name of ['pictured', 'multi-label', 'text-embedding-bert', 'reranker', 'tagger']) {
    for (const [colorScheme, width] of [
      ['light', 360],
      ['dark', 1440],
    ] as const) {
      const viewport = { width, height: 900 };
      const { page } = await openModel(name, { colorScheme, viewport, reducedMotion: 'reduce' });
      await predict(page);
      const wide = await evaluate<number>(page, 'document.documentElement.scrollWidth');
      assert.ok(wide <= width, `${name} at ${width}: ${wide}`);
      assert.deepEqual(await violations(page), [], name);
      if (shots) await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      await page.context().close();
    }
  }
});
