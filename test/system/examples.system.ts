import assert from 'node:assert/strict';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { blocks, readPage } from '../helpers/readme.ts';
import { until } from '../helpers/until.ts';
import { checkLike } from './like.ts';
import { ROOT, run, type Served, serve } from './program.ts';

const SERVER = ['dist/server.js'];
const SWAP_BOUND_MS = 60_000;

interface Shown {
  readonly text: string;
  /** The response that follows. */
  readonly response: string | undefined;
}

/** The shell blocks of an example's page. */
function shellOf(name: string): Shown[] {
  const all = blocks(readPage(`examples/${name}/README.md`));
  return all.flatMap(({ language, text }, i) => {
    if (language !== 'sh') return [];
    return [{ text, response: all[i + 1]?.language === 'text' ? all[i + 1]!.text : undefined }];
  });
}

async function check(server: Served, { text, response }: Shown): Promise<void> {
  const typed = text.replaceAll('localhost:8080', `127.0.0.1:${server.port}`);
  const { stdout, stderr, code } = await run('bash', ['-c', typed.replaceAll(/^( *)curl /gm, '$1curl -sS ')]);
  assert.equal(code, 0, stderr);
  const lines = (some: string): unknown =>
    some
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
  checkLike(lines(stdout), lines(response!), 'the response');
}

for (const [name, count, folder] of [
  ['churn', 2, 'examples/churn'],
  ['digits', 1, 'examples/digits'],
  ['image-classifier', 3, 'examples/image-classifier'],
  ['sentence-embeddings', 2, 'test/assets/refs/models/text-embedding-bert'],
  ['invoices', 2, 'examples/invoices'],
] as const) {
  test(`examples/${name}, served as its page says, gives the responses that it shows`, async () => {
    assert.match(readPage(`examples/${name}/README.md`), new RegExp(`^npx onnx-cloud-run serve ${folder}$`, 'm'));
    const server = await serve(SERVER, { MODEL_URI: join(ROOT, folder) });
    try {
      const shown = shellOf(name);
      assert.equal(shown.length, count);
      for (const one of shown) await check(server, one);
      const status = await fetch(`http://127.0.0.1:${server.port}/models/${basename(folder)}`);
      const { batching } = (await status.json()) as { batching: { decided_by: string; enabled: boolean } };
      assert.deepEqual([batching.enabled, batching.decided_by], [true, 'proof']);
    } finally {
      await server.stop();
    }
  });
}

test('examples/churn: a category that the encoder does not know counts as none of them', async () => {
  const server = await serve(SERVER, { MODEL_URI: join(ROOT, 'examples/churn') });
  try {
    const { example } = JSON.parse(readFileSync(join(ROOT, 'examples/churn/model.json'), 'utf8'));
    const body = JSON.stringify({ features: { ...example.features, payment_method: 'cash' } });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`http://127.0.0.1:${server.port}/predict`, { method: 'POST', headers, body });
    assert.equal(((await response.json()) as { label: string }).label, 'leaves');
  } finally {
    await server.stop();
  }
});

describe('examples/bucket-versions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'versions-'));
  after(() => rmSync(folder, { recursive: true }));

  test('a version that is copied into the folder replaces the first; the highest that remains serves again', async () => {
    cpSync(join(ROOT, 'examples'), join(folder, 'examples'), { recursive: true });
    const [copyFirst, first, copySecond, second, byNumber, remove] = shellOf('bucket-versions');
    const shell = (shown: Shown | undefined) => run('bash', ['-c', `cd '${folder}' && ${shown!.text}`]);
    assert.equal((await shell(copyFirst)).code, 0);
    const server = await serve(SERVER, { MODEL_URI: join(folder, 'my-models'), MODEL_REFRESH_SECONDS: '2' });
    const serves = async (version: string): Promise<boolean> => {
      const response = await fetch(`http://127.0.0.1:${server.port}/models/rentals`);
      return ((await response.json()) as { version: string }).version === version;
    };
    try {
      await check(server, first!);
      assert.equal((await shell(copySecond)).code, 0);
      await until(() => serves('2'), 'version 2 to serve', SWAP_BOUND_MS);
      await check(server, second!);
      await check(server, byNumber!);
      assert.match(remove!.text, /^rm -r my-models\/rentals\/2$/m);
      assert.equal((await shell(remove)).code, 0);
      await until(() => serves('1'), 'version 1 to serve again', SWAP_BOUND_MS);
      await check(server, first!);
    } finally {
      await server.stop();
    }
  });
});

test('the export scripts are Python that compiles', async () => {
  const scripts = globSync('examples/*/export.py', { cwd: ROOT });
  assert.equal(scripts.length, 6);
  const parse = 'import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path).read(), path)';
  const { code, stderr } = await run('python3', ['-c', parse, ...scripts.map((path) => join(ROOT, path))]);
  assert.equal(code, 0, stderr);
});
