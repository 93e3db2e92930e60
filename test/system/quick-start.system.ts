import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ErrorCode } from '../../functions/errors.ts';
import { STATUS } from '../../functions/http/status.ts';
import { blocks, DOCUMENTATION, readPage } from '../helpers/readme.ts';
import { REFS } from '../text/refs.ts';
import { checkLike } from './like.ts';
import { ROOT, run, type Served, serve } from './program.ts';

let server: Served;
let textServer: Served;
let pictureServer: Served;
/** The server of a model that takes what the line sends. */
function serverOf(page: string, line: string): Served {
  if (line.includes('Content-Type: image/')) return pictureServer;
  const isOfTexts = /^docs\/(api\/(openai|text-embeddings)|models\/texts-and-pictures)\.md$/.test(page);
  return isOfTexts || line.includes('/v1/embeddings') ? textServer : server;
}
const curlHome = mkdtempSync(join(tmpdir(), 'quick-start-'));
// The lines run as typed: curl gets what the test needs from its own file of defaults.
writeFileSync(join(curlHome, '.curlrc'), 'silent\nwrite-out = "%{stderr}%{http_code}"\n');

before(async () => {
  // The two routes of the docker run line of docs/deploy/vertex-ai.md.
  server = await serve(['scripts/start.ts'], {
    AIP_PREDICT_ROUTE: '/vertex/predict',
    AIP_HEALTH_ROUTE: '/vertex/health',
  });
  const models = { MODEL_URI: join(REFS, 'models'), MODEL_NAME: 'text-embedding-bert' };
  textServer = await serve(['scripts/start.ts'], models);
  pictureServer = await serve(['scripts/start.ts'], { MODEL_URI: join(ROOT, 'examples/image-classifier') });
});
after(async () => {
  await Promise.all([server.stop(), textServer?.stop(), pictureServer?.stop()]);
  rmSync(curlHome, { recursive: true });
});

/** Its lines are about a model that the reader trains. */
const OTHER_MODEL = 'docs/tutorial.md';

const found = DOCUMENTATION.filter((page) => page !== OTHER_MODEL).flatMap((page) => {
  const all = blocks(readPage(page));
  return all.flatMap(({ language, text }, i) => {
    if (language !== 'sh' || !text.includes('curl') || !text.includes('http://localhost:8080')) return [];
    const next = all[i + 1];
    return [{ page, text, shown: next?.language === 'text' ? next.text : undefined }];
  });
});

test('README and the pages of the dialects show curl lines', () => {
  assert.deepEqual([...new Set(found.map(({ page }) => page))].sort(), [
    'README.md',
    'docs/api/open-inference.md',
    'docs/api/openai.md',
    'docs/api/rest.md',
    'docs/api/tensorflow-serving.md',
    'docs/api/text-embeddings.md',
    'docs/clients.md',
    'docs/deploy/gke.md',
    'docs/deploy/vertex-ai.md',
    'docs/models/texts-and-pictures.md',
  ]);
  assert.ok(found.length >= 20, String(found.length));
});

for (const [i, { page, text, shown }] of found.entries()) {
  test(`${page}: curl block ${i + 1} answers as shown: ${text.split('\n')[0]}`, async () => {
    const { port } = serverOf(page, text);
    const typed = text.replaceAll('localhost:8080', `localhost:${port}`);
    const { stdout, stderr, code } = await run('bash', ['-o', 'pipefail', '-c', typed], { CURL_HOME: curlHome });
    assert.equal(code, 0, stderr);
    const expected = shown
      ?.trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    const failure = (expected?.[0] as { code?: ErrorCode } | undefined)?.code;
    assert.equal(Number(stderr), failure === undefined ? 200 : STATUS[failure]);
    if (expected !== undefined)
      checkLike(
        stdout
          .trim()
          .split('\n')
          .map((line): unknown => JSON.parse(line)),
        expected,
        'the answer',
      );
  });
}
