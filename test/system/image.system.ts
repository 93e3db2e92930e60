import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { foldersOf } from '../../scripts/sbom/bom.ts';
import { nameOf } from '../../scripts/sbom/packages.ts';
import { buildImage, canBuild, copyContext, docker, IMAGE, ROOT } from '../helpers/image.ts';
import { run } from './program.ts';

/** Without a model, and with one of the test's own. */
const BARE = 'onnx-cloud-run-test:bare';
const OWN = 'onnx-cloud-run-test:models';

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

interface Inspected {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Cmd: readonly string[];
    readonly Entrypoint: readonly string[];
    readonly ExposedPorts: Readonly<Record<string, unknown>>;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

function inspect(image: string): Inspected {
  return JSON.parse(docker('image', 'inspect', image))[0];
}

/** The files of an image below `folder`, as its own node lists them. */
function filesOf(image: string, folder: string): string[] {
  const list = `require('node:fs').readdirSync('${folder}',{recursive:true,withFileTypes:true}).filter(e=>e.isFile()).map(e=>e.parentPath+'/'+e.name)`;
  return JSON.parse(docker('run', '--rm', image, '-p', `JSON.stringify(${list})`));
}

before(() => buildImage());

describe('the image', () => {
  test('adds at most 92 MB to its base, of which 20 are for pictures', () => {
    const base = /^ARG RUN_IMAGE=(\S+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile.ml'), 'utf8'))?.[1];
    const added = inspect(IMAGE).Size - inspect(base!).Size;
    assert.ok(added < 92e6, `${added} bytes`);
    assert.ok(inspect(IMAGE).Size < 225e6);
  });

  test('PICTURES=off leaves out what only models of pictures need', () => {
    buildImage(BARE, ['--build-arg', 'PICTURES=off']);
    const files = filesOf(BARE, '/app/node_modules');
    assert.ok(!files.some((file) => /node_modules\/(sharp|@img)\//.test(file)));
    assert.ok(files.some((file) => file.includes('/@anush008/tokenizers/')));
    assert.ok(inspect(IMAGE).Size - inspect(BARE).Size > 19e6);
    assert.throws(() => buildImage(BARE, ['--build-arg', 'PICTURES=no']), /PICTURES: expected on or off, got no/);
  });

  test('runs as a user with a number and no rights, exec form, and tells what it is', () => {
    const { Config } = inspect(IMAGE);
    assert.equal(Config.User, '65532:65532');
    assert.deepEqual(Config.Entrypoint, ['/nodejs/bin/node']);
    assert.deepEqual(Config.Cmd, ['--max-semi-space-size=2', 'dist/server.js']);
    assert.deepEqual(Object.keys(Config.ExposedPorts), ['8080/tcp']);
    assert.ok(Config.Env.includes('ORT_DISABLE_TELEMETRY=1'));
    assert.equal(Config.Labels['org.opencontainers.image.version'], manifest.version);
    assert.equal(Config.Labels['org.opencontainers.image.licenses'], manifest.license);
  });

  test('holds no shell, no npm, no TypeScript, no source map, no key, and no package that only development needs', async () => {
    const { code } = await run('docker', ['run', '--rm', '--entrypoint', '/bin/sh', IMAGE, '-c', 'true']);
    assert.equal(code, 127, 'a shell');
    const list =
      "process.env.PATH.split(':').flatMap(f=>require('node:fs').existsSync(f)?require('node:fs').readdirSync(f):[])";
    const programs = JSON.parse(docker('run', '--rm', IMAGE, '-p', `JSON.stringify(${list})`));
    for (const program of ['sh', 'bash', 'busybox', 'npm', 'node']) assert.ok(!programs.includes(program), program);
    const files = filesOf(IMAGE, '/app');
    assert.ok(
      files.includes('/app/dist/smoke-test.js') &&
        !files.some((file) => /^\/app\/dist\/(cli\.js|optimizer\.js|template)/.test(file)),
    );
    assert.ok(files.includes('/app/dist/server.js') && files.includes('/app/models/iris/model.onnx'));
    assert.deepEqual(
      files.filter((file) => /\.(ts|map|pem|key|npmrc|env)$|\/\.git|\/test\//.test(file)),
      [],
    );
    for (const name of [...Object.keys(manifest.devDependencies), '@google-cloud/functions-framework']) {
      assert.ok(!files.some((file) => file.startsWith(`/app/node_modules/${name}/`)), name);
    }
    const native = files.filter((file) => /\.(so[.\d]*|dll|dylib|node)$/.test(file));
    assert.ok(
      native.every((file) => /linux[/-](x64|arm64)/.test(file)),
      native.join('\n'),
    );
  });

  test('has a bill of materials with every package in it, those inside the bundles too, and the licences of all', () => {
    const [bill, licences] = ['sbom.cdx.json', 'THIRD_PARTY_LICENSES.txt'].map((name) =>
      docker('run', '--rm', IMAGE, '-p', `require('node:fs').readFileSync('/app/${name}','utf8')`),
    ) as [string, string];
    const folders = foldersOf(JSON.parse(bill));
    const installed = filesOf(IMAGE, '/app/node_modules')
      .map((file) => /^\/app\/(.*node_modules\/(?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(file)?.[1])
      .filter((folder) => folder !== undefined);
    assert.ok(installed.length > 50, String(installed.length));
    for (const folder of [...installed, 'node_modules/zod', 'node_modules/swagger-ui-dist'])
      assert.ok(folders.includes(folder), folder);
    for (const folder of folders) assert.ok(licences.includes(`\n${nameOf(folder)} `), folder);
  });

  test('is owned by root, so that what runs in it cannot change it', () => {
    const code = "require('node:fs').writeFileSync('/app/dist/server.js','')";
    assert.throws(() => docker('run', '--rm', IMAGE, '-e', code), /EACCES/);
  });
});

describe('models in the image', () => {
  const context = mkdtempSync(join(tmpdir(), 'image-'));
  after(() => {
    rmSync(context, { recursive: true });
    docker('image', 'rm', '-f', BARE, OWN);
  });

  test('MODELS= leaves them out', () => {
    buildImage(BARE, ['--build-arg', 'MODELS=']);
    assert.deepEqual(filesOf(BARE, '/app/models'), []);
  });

  test('MODELS names a folder that is not there: the build says which', () => {
    assert.throws(
      () => buildImage(OWN, ['--build-arg', 'MODELS=my-modles']),
      /my-modles\b.*(not found|does not exist)/,
    );
  });

  test('MODELS names a folder of the context, which the server may read whatever its modes were; secrets stay out', () => {
    copyContext(context);
    const models = join(context, 'tmp/image-models');
    mkdirSync(join(models, 'flowers'), { recursive: true, mode: 0o700 });
    const model = readFileSync(join(ROOT, 'models/iris/model.onnx'));
    writeFileSync(join(models, 'flowers/model.onnx'), model, { mode: 0o600 });
    for (const secret of ['.env', '.git/config', 'key.pem', 'my-credentials.json']) {
      mkdirSync(dirname(join(models, 'flowers', secret)), { recursive: true });
      writeFileSync(join(models, 'flowers', secret), 'secret');
    }
    buildImage(OWN, ['--build-arg', 'MODELS=tmp/image-models'], {}, context);
    assert.deepEqual(filesOf(OWN, '/app/models'), ['/app/models/flowers/model.onnx']);
    const size = docker(
      'run',
      '--rm',
      OWN,
      '-p',
      "require('node:fs').readFileSync('models/flowers/model.onnx').length",
    );
    assert.equal(Number(size), model.length);
  });
});

test('each of the two builders that this machine has builds it', () => {
  const builders = ['0', '1'].filter((builder) => canBuild({ DOCKER_BUILDKIT: builder }));
  assert.notEqual(builders.length, 0);
  for (const builder of builders) {
    const tag = `onnx-cloud-run-test:builder-${builder}`;
    buildImage(tag, [], { DOCKER_BUILDKIT: builder });
    assert.equal(inspect(tag).Config.User, '65532:65532');
    docker('image', 'rm', '-f', tag);
  }
});
