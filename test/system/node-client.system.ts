import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { blocks, section } from '../helpers/readme.ts';
import { ROOT, run, type Served, serve } from './program.ts';

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

/** What a caller writes: every call, with the types that it counts on. */
const PROGRAM = `
import { type BatchRow, type Client, ClientError, createClient } from 'onnx-cloud-run/client';

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
const PRINTED = [true, 0, 'setosa', true, 19_999, '7INVALID_INPUT', '0', 3, 'INVALID_INPUT400features'];

describe('clients in Node', () => {
  let server: Served | undefined;
  const folder = mkdtempSync(join(tmpdir(), 'client-'));
  before(async () => {
    server = await serve(['scripts/start.ts']);
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  });

  test('the Node client of docs/clients.md sends and reads 20 000 rows', async () => {
    const client = blocks(section('docs/clients.md', 'Node')).find(({ language }) => language === 'js')!;
    const typed = client.text.replace('localhost:8080', `localhost:${server!.port}`);
    const { stdout, stderr, code } = await run(process.execPath, ['--input-type=module', '-e', typed]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '{ done: true, ok: 20000, failed: 0 }\n');
  });

  test('the packed package gives another one the client: its types with and without a DOM, its calls, and the program of docs/clients.md', async () => {
    const installed = join(folder, 'node_modules/onnx-cloud-run');
    mkdirSync(installed, { recursive: true });
    const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder, ROOT]);
    assert.equal(packed.code, 0, packed.stderr);
    const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
    const untarred = await run('tar', ['xzf', join(folder, archive), '-C', installed, '--strip-components=1']);
    assert.equal(untarred.code, 0, untarred.stderr);
    for (const name of ['@types/node', 'undici-types'])
      cpSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'use.ts'), PROGRAM.replace('URL', `http://localhost:${server!.port}`));

    const shown = blocks(section('docs/clients.md', 'Typed client')).find(({ language }) => language === 'ts')!;
    writeFileSync(join(folder, 'shown.ts'), shown.text);

    const browser = ['--lib', 'ES2022,DOM,DOM.AsyncIterable', '--types', ''];
    const browsers = [...browser, '--module', 'ESNext', '--moduleResolution', 'Bundler', '--noEmit'];
    const node = ['--lib', 'ES2022', '--types', 'node', '--module', 'NodeNext'];
    for (const options of [browsers, node]) {
      const flags = [
        '--ignoreConfig',
        join(folder, 'use.ts'),
        join(folder, 'shown.ts'),
        '--strict',
        '--exactOptionalPropertyTypes',
        '--target',
        'ES2022',
      ];
      const typesRoot = ['--typeRoots', join(folder, 'node_modules/@types')];
      const { code, stdout } = await run(process.execPath, [TSC, ...flags, ...typesRoot, ...options]);
      assert.equal(code, 0, stdout);
    }
    const { stdout, stderr } = await run(process.execPath, [join(folder, 'use.js')]);
    assert.deepEqual(JSON.parse(stdout || 'null'), PRINTED, stderr);
  });

  test('the package is still the function, and its package.json can be read', async () => {
    const code =
      "console.log(import.meta.resolve('onnx-cloud-run'), import.meta.resolve('onnx-cloud-run/package.json'))";
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', code]);
    assert.match(stdout, /\/dist\/index\.js .*\/package\.json\n$/, stderr);
  });
});
