import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { freePort, type ServerProcess, spawnServer } from '../../scripts/server-process.ts';
import { buildImage, docker, IMAGE } from '../helpers/image.ts';
import { blocks, DOCUMENTATION, readPage, section } from '../helpers/readme.ts';
import { until } from '../helpers/until.ts';
import { ROOT, run } from './program.ts';

const BOUND_MS = 60_000;
const OWN_IMAGE = 'onnx-cloud-run-test:readme';
const ROW = '{"features":[5.1,3.5,1.4,0.2]}';
const IRIS = join(ROOT, 'models/iris');

/** The block of a text in a language that has `part`. */
function blockWith(text: string, language: string, part: string): string {
  const found = blocks(text).find((block) => block.language === language && block.text.includes(part));
  assert.ok(found, `the page shows a block of ${language} with ${part}`);
  return found.text;
}

/** Waits for a prediction of a server that starts. */
async function predictionAt(port: number): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const url = `http://127.0.0.1:${port}/predict`;
  const predict = async (): Promise<Response | undefined> => {
    const response = await fetch(url, { method: 'POST', headers, body: ROW }).catch(() => undefined);
    return response?.ok === true ? response : undefined;
  };
  return (await until(predict, 'a prediction', BOUND_MS)).text();
}

/** The iris model under another name: the folder's. */
function copyIris(folder: string): void {
  cpSync(IRIS, folder, { recursive: true });
  const { name, ...manifest } = JSON.parse(readFileSync(join(IRIS, 'model.json'), 'utf8'));
  assert.equal(name ?? 'iris', 'iris');
  writeFileSync(join(folder, 'model.json'), JSON.stringify(manifest));
}

/** A folder in which the package is installed, as `npm install` would. */
function folderWithPackage(folder: string): string {
  const { name, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { name: string; bin: string };
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules', name));
  symlinkSync(`../${name}/${bin}`, join(folder, 'node_modules/.bin', name));
  writeFileSync(join(folder, 'package.json'), '{}');
  return folder;
}

describe('the ways into the product that README and the tutorial show', () => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  after(() => rmSync(folder, { recursive: true }));

  describe('npx', () => {
    before(() => buildIfNeeded());

    async function withServer(line: string, cwd: string, body: (port: number, server: ServerProcess) => Promise<void>) {
      const port = await freePort();
      const command = ['bash', '-c', `exec ${line.trim()}`] as const;
      const server = spawnServer({ command, env: { PORT: String(port) }, cwd });
      try {
        await body(port, server);
      } finally {
        await server.stop();
      }
    }

    test('the lines of README, in a folder with the package and model.onnx alone, examine and serve the model', async () => {
      const own = folderWithPackage(join(folder, 'readme'));
      cpSync(join(IRIS, 'model.onnx'), join(own, 'model.onnx'));
      const [examine, serve] = blockWith(readPage('README.md'), 'sh', 'npx ').trim().split('\n');
      const { stdout, stderr, code } = await run('bash', ['-c', `cd '${own}' && ${examine}`]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^\S+ 1: serves\n/);
      await withServer(serve!, own, async (port, server) => {
        assert.match(await predictionAt(port), /^\{"prediction":0,/, server.written());
      });
    });

    test('the lines of the tutorial serve the exported folder and call it', async () => {
      const own = folderWithPackage(join(folder, 'tutorial'));
      copyIris(join(own, 'my-models/wine'));
      writeFileSync(join(own, 'row.json'), ROW);
      const line = blockWith(section('docs/tutorial.md', '2. Serve it'), 'sh', 'npx ');
      const calls = blockWith(section('docs/tutorial.md', '3. Call it'), 'sh', 'curl ');
      await withServer(line, own, async (port) => {
        await predictionAt(port);
        const typed = `cd '${own}'; set -e; ${calls.replaceAll('localhost:8080', `localhost:${port}`)}`;
        const { stdout, stderr, code } = await run('bash', ['-c', typed.replaceAll('curl ', 'curl -sSfw "\\n" ')]);
        assert.equal(code, 0, stderr);
        const [predicted, status] = stdout
          .trim()
          .split('\n')
          .map((text) => JSON.parse(text));
        assert.deepEqual(predicted.model, { name: 'wine', version: '1' });
        assert.equal(status.state, 'ready');
        assert.equal(status.batching.enabled, true);
      });
    });
  });

  describe('the Dockerfile', () => {
    before(() => buildImage());

    test('two lines on the image of this repository serve the models of the folder', async () => {
      const own = join(folder, 'image');
      copyIris(join(own, 'my-models/flowers'));
      const shown = blockWith(readPage('README.md'), 'dockerfile', 'COPY my-models');
      assert.match(shown, /^FROM ml-model$/m);
      writeFileSync(join(own, 'Dockerfile'), shown.replace('FROM ml-model', `FROM ${IMAGE}`));
      docker('build', '-q', '-t', OWN_IMAGE, own);
      const port = await freePort();
      const id = docker('run', '-d', '-p', `127.0.0.1:${port}:8080`, OWN_IMAGE);
      try {
        assert.match(await predictionAt(port), /"model":\{"name":"flowers","version":"1"\}/);
      } finally {
        docker('rm', '-f', id);
        docker('image', 'rm', '-f', OWN_IMAGE);
      }
    });
  });
});

test('each Python block of the pages is valid Python', async () => {
  for (const page of DOCUMENTATION) {
    for (const { language, text } of blocks(readPage(page))) {
      if (language !== 'python') continue;
      const { code, stderr } = await run('python3', ['-c', 'import ast, sys; ast.parse(sys.argv[1])', text]);
      assert.equal(code, 0, `${page}: ${stderr}\n${text}`);
    }
  }
});
