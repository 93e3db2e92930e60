/**
 * Takes the pictures of the page in the browser that README and the documentation show: docs/pictures/page-light.png and
 * page-dark.png. It serves the bundled model on a free port, and opens the page in the system's Chromium.
 *
 *   node scripts/pictures.ts [folder, docs/pictures unless given]
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser } from 'playwright-core';
import { evaluate, launch } from '../test/system/browser.ts';
import { buildIfNeeded } from './build-if-needed.ts';
import { HOST_ARGUMENTS, startServer } from './server-process.ts';

const ROOT = join(import.meta.dirname, '..');
const USAGE = `usage: node scripts/pictures.ts [FOLDER]

Takes the pictures of the page in the browser, with the bundled model, and writes them as page-light.png and page-dark.png
to FOLDER (docs/pictures). Needs chromium.`;

/** README shows a picture 450 px wide, beside that of the architecture, which has the same shape. The form and its result are side by side. */
const VIEWPORT = { width: 960, height: 720 };
const PIXELS_PER_POINT = 1.375;
const MAX_BYTES = 150_000;
const WARM_UPS = 3;
const BOUND_MS = 30_000;

/** A picture of the page with a prediction on it. @throws Error if there is no prediction within 30 s, or the picture is too large */
async function takePicture(browser: Browser, url: string, colorScheme: 'light' | 'dark'): Promise<Buffer> {
  const context = await browser.newContext({
    viewport: VIEWPORT,
    deviceScaleFactor: PIXELS_PER_POINT,
    colorScheme,
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(BOUND_MS);
  try {
    const page = await context.newPage();
    await page.goto(url);
    // The latency of the first is that of a cold start.
    for (let times = 0; times < WARM_UPS; times++) {
      const response = page.waitForResponse((one) => one.request().method() === 'POST');
      await page.getByRole('button', { name: 'Predict' }).click();
      await (await response).finished();
    }
    await page.reload();
    await page.getByRole('button', { name: 'Predict' }).click();
    await page.getByText('Answered in').waitFor();
    // The page scrolls to its result; the pointer and the focus would be in the picture.
    await evaluate(page, 'scrollTo(0, 0)');
    await page.mouse.move(0, 0);
    await page.locator(':focus').blur();
    const picture = await page.screenshot();
    if (picture.length > MAX_BYTES)
      throw new Error(`the ${colorScheme} picture has ${picture.length} bytes, expected at most ${MAX_BYTES}`);
    return picture;
  } finally {
    await context.close();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' } },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const folder = resolve(positionals[0] ?? join(ROOT, 'docs/pictures'));
mkdirSync(folder, { recursive: true });
buildIfNeeded();
const browser = await launch();
try {
  const server = await startServer(HOST_ARGUMENTS.container, { MODEL_URI: join(ROOT, 'models') });
  try {
    for (const scheme of ['light', 'dark'] as const) {
      const path = join(folder, `page-${scheme}.png`);
      writeFileSync(path, await takePicture(browser, server.url, scheme));
      console.log(`${path}: ${Math.round(statSync(path).size / 1000)} kB`);
    }
  } finally {
    await server.stop();
  }
} finally {
  await browser.close();
}
