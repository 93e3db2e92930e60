import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { freePort, spawnServer } from '../../scripts/server-process.ts';
import { buildImage, docker, IMAGE } from '../helpers/image.ts';
import { blocks, readPage } from '../helpers/readme.ts';
import { until } from '../helpers/until.ts';
import { ROOT } from './program.ts';

const BOUND_MS = 60_000;
const OWN_IMAGE = 'onnx-cloud-run-test:readme';
const ROW = '{"features":[5.1,3.5,1.4,0.2]}';

/** The block of README in a language that has this text. */
function blockWith(language: string, text: string): string {
  const found = blocks(readPage('README.md')).find((block) => block.language === language && block.text.includes(text));
  assert.ok(found, `README shows a block of ${language} with ${text}`);
  return found.text;
}

async function predictionAt(port: number): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const ask = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/predict`, { method: 'POST', headers, body: ROW });
  const response = await until(
    async () => {
      const answer = await ask().catch(() => undefined);
      return answer?.ok === true ? answer : undefined;
    },
    'a prediction',
    BOUND_MS,
  );
  return response.text();
}

describe('the ways into the product that README shows', () => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  after(() => rmSync(folder, { recursive: true }));

  test('the npx line, in a folder with the package and model.onnx alone, serves the model', async () => {
    buildIfNeeded();
    const { name, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { name: string; bin: string };
    const own = join(folder, 'npx');
    mkdirSync(join(own, 'node_modules/.bin'), { recursive: true });
    symlinkSync(ROOT, join(own, 'node_modules', name));
    symlinkSync(`../${name}/${bin}`, join(own, 'node_modules/.bin', name));
    writeFileSync(join(own, 'package.json'), '{}');
    cpSync(join(ROOT, 'models/iris/model.onnx'), join(own, 'model.onnx'));

    const port = await freePort();
    const command = ['bash', '-c', `exec ${blockWith('sh', 'npx ').trim()}`] as const;
    const server = spawnServer({ command, env: { PORT: String(port) }, cwd: own });
    try {
      assert.match(await predictionAt(port), /^\{"prediction":0,/, server.written());
    } finally {
      await server.stop();
    }
  });

  describe('the Dockerfile', () => {
    before(() => buildImage());

    test('two lines on the image of this repository serve the models of the folder', async () => {
      const own = join(folder, 'image');
      cpSync(join(ROOT, 'models/iris'), join(own, 'my-models/flowers'), { recursive: true });
      // The manifest names the model: without it the name is the folder's.
      if (existsSync(join(own, 'my-models/flowers/model.json'))) rmSync(join(own, 'my-models/flowers/model.json'));
      const shown = blockWith('dockerfile', 'COPY my-models');
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
