import assert from 'node:assert/strict';
import { cpSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { blocks, readPage, section } from '../helpers/readme.ts';
import { findNode20, type InstalledClient, installClient } from './client-package.ts';
import { ROOT, run, type Served, serve } from './program.ts';

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

/** What a caller writes: every call, with the types that it counts on. */
const PROGRAM = `
import { type BatchRow, type Client, ClientError, createClient } from 'onnx-cloud-run-client';

interface Iris { readonly label: number; readonly probabilities: readonly number[] }
const client: Client<number, Iris> = createClient<number, Iris>({ url: 'URL', model: 'iris', retries: 2 });

const ready: boolean = await client.ready();
const { prediction, label, outputs } = await client.predict([5.1, 3.5, 1.4, 0.2]);
const first: number | undefined = outputs.probabilities[0];

async function* rows(): AsyncGenerator<readonly number[]> {
  for (let i = 0; i < 20_000; i++) yield i === 7 ? [1] : [5.1, 3.5, 1.4 + (i % 50) / 10, 0.2];
}
let answered = 0;
let failed = '';
for await (const row of client.batchPredict(rows())) {
  const typed: BatchRow<number, Iris> = row;
  if (typed.error !== undefined) failed += typed.index + typed.error.code;
  else answered += Number.isInteger(typed.prediction) ? 1 : 0;
}

const { inputs } = await client.metadata();
const inferred = await client.infer({
  inputs: { [inputs[0]!.name]: { datatype: 'FP32', shape: [1, 4], data: Float32Array.of(5.1, 3.5, 1.4, 0.2) } },
  outputs: { label: 'INT64', probabilities: 'FP32' },
});
const big: BigInt64Array = inferred.outputs.label.data;
const scores: Float32Array = inferred.outputs.probabilities.data;

const refused = await client.predict([1]).catch((error: unknown) => error);
const code = refused instanceof ClientError ? refused.code + refused.status + refused.path : '';
console.log(JSON.stringify([ready, prediction, label, first! > 0.9, answered, failed, String(big), scores.length, code]));
`;
const README = 'clients/typescript/README.md';
const PRINTED = [true, 0, 'setosa', true, 19_999, '7INVALID_INPUT', '0', 3, 'INVALID_INPUT400features'];

describe('clients in Node', () => {
  let server: Served | undefined;
  let client: InstalledClient;
  const folder = mkdtempSync(join(tmpdir(), 'client-'));
  before(async () => {
    client = await installClient(folder);
    server = await serve(['scripts/start.ts']);
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  });

  test('the Node client of docs/clients.md sends and reads 20 000 rows', async () => {
    const shown = blocks(section('docs/clients.md', 'Node')).find(({ language }) => language === 'js')!;
    const typed = shown.text.replace('localhost:8080', `localhost:${server!.port}`);
    const { stdout, stderr, code } = await run(process.execPath, ['--input-type=module', '-e', typed]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '{ done: true, ok: 20000, failed: 0 }\n');
  });

  test('the package has at most 100 kB, the client in one file with its types, and no dependency', () => {
    const files = globSync('**', { cwd: client.installed, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    assert.ok(bytes <= 100_000, String(bytes));
    assert.ok(statSync(client.archive).size <= 30_000);
    const names = files.map(({ name }) => name);
    assert.deepEqual(names.filter((name) => !name.endsWith('.d.ts')).sort(), [
      'LICENSE',
      'README.md',
      'client.js',
      'package.json',
    ]);
    assert.deepEqual(
      readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
      ['onnx-cloud-run-client'],
    );
    assert.ok(!('dependencies' in JSON.parse(readFileSync(join(client.installed, 'package.json'), 'utf8'))));
  });

  test('the package gives another one the client: its types with and without a DOM, and its calls in Node 20 and in this Node', async () => {
    for (const name of ['@types/node', 'undici-types'])
      cpSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
    writeFileSync(join(folder, 'use.ts'), PROGRAM.replace('URL', `http://localhost:${server!.port}`));
    for (const [file, page] of [
      ['shown.ts', section('docs/clients.md', 'Typed client')],
      ['readme.ts', readPage(README)],
    ] as const) {
      const { text } = blocks(page).find(({ language }) => language === 'ts')!;
      writeFileSync(join(folder, file), text.replace('localhost:8080', `localhost:${server!.port}`));
    }

    const browser = ['--lib', 'ES2022,DOM,DOM.AsyncIterable', '--types', ''];
    const browsers = [...browser, '--module', 'ESNext', '--moduleResolution', 'Bundler', '--noEmit'];
    const node = ['--lib', 'ES2022', '--types', 'node', '--module', 'NodeNext'];
    for (const options of [browsers, node]) {
      const flags = ['--strict', '--exactOptionalPropertyTypes', '--target', 'ES2022', '--ignoreConfig'];
      const files = ['use.ts', 'shown.ts', 'readme.ts'].map((name) => join(folder, name));
      const typesRoot = ['--typeRoots', join(folder, 'node_modules/@types')];
      const { code, stdout } = await run(process.execPath, [TSC, ...files, ...flags, ...typesRoot, ...options]);
      assert.equal(code, 0, stdout);
    }
    const printed = blocks(readPage(README)).find(({ language }) => language === 'text')!.text;
    for (const program of [process.execPath, await findNode20()]) {
      const { stdout, stderr } = await run(program, [join(folder, 'use.js')]);
      assert.deepEqual(JSON.parse(stdout || 'null'), PRINTED, stderr);
      assert.equal((await run(program, [join(folder, 'readme.js')])).stdout, printed, program);
    }
  });

  test('the package is still the function, and its package.json can be read', async () => {
    const code =
      "console.log(import.meta.resolve('onnx-cloud-run'), import.meta.resolve('onnx-cloud-run/package.json'))";
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', code]);
    assert.match(stdout, /\/dist\/index\.js .*\/package\.json\n$/, stderr);
  });
});
