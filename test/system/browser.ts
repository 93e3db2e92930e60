import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The system's Chromium, without a window, with a profile of its own that goes with it. @param flags more of its flags */
export function launch(flags: readonly string[] = []): Promise<Browser> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const executablePath = folders.map((folder) => join(folder, 'chromium')).find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('there is no chromium on the PATH: apt-get install chromium');
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

/** A page of its own, and what it complained of: errors of its scripts, of its policy, and of what it loads. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  prepare: (page: Page) => Promise<unknown> = async () => {},
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(request.url()))
      complaints.push(`asks another host: ${request.url()}`);
  });
  await prepare(page);
  await page.goto(url);
  return { page, complaints };
}

/** The value of an expression in the page, past its policy, which forbids `eval`. */
export async function evaluate<T>(page: Page, expression: string): Promise<T> {
  const session = await page.context().newCDPSession(page);
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression,
    awaitPromise: true,
    returnByValue: true,
  });
  await session.detach();
  if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? 'it threw');
  return result.value as T;
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong with the page: rule, impact and the first element that breaks it. */
export async function violations(page: Page): Promise<string[]> {
  await evaluate(page, `${AXE};0`);
  return evaluate(
    page,
    "axe.run().then(({ violations }) => violations.map((one) => [one.impact, one.id, one.nodes[0].html].join(': ')))",
  );
}
