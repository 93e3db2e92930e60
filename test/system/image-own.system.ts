import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { call, predict } from '../helpers/calls.ts';
import { BUILT_IN, runStep } from '../helpers/google-cloud/cloud-build.ts';
import { buildFolder, buildImage, canBuild, copyContext, docker, IMAGE, ROOT, startImage } from '../helpers/image.ts';
import { startModelStub } from '../helpers/model-stub.ts';
import { addConstant, writeModel } from '../helpers/models.ts';
import { blocks, section } from '../helpers/readme.ts';
import { until } from '../helpers/until.ts';
import { run } from './program.ts';

/** Images that are built on the server's: their tags. */
const OWN = 'onnx-cloud-run-test:own';
const BASE = /^ARG RUN_IMAGE=(\S+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile.ml'), 'utf8'))![1]!;
const READY_MS = 30_000;
/** The lines of the documentation. */
const LINES = blocks(section('docs/deploy/docker.md', 'Your own model'))[0]!.text.replace(
  'FROM ml-model\n',
  `FROM ${IMAGE}\n`,
);

const root = mkdtempSync(join(tmpdir(), 'image-own-'));
const made = new Set<string>();

before(() => buildImage());
after(() => {
  rmSync(root, { recursive: true });
  docker('image', 'rm', '-f', ...made);
});

/** Builds a Dockerfile in a folder. */
function buildOwn(folder: string, text = LINES, tag = OWN, env: Record<string, string> = {}): string {
  writeFileSync(join(folder, 'Dockerfile'), text);
  buildFolder(folder, tag, [], env);
  made.add(tag);
  return tag;
}

/** Runs an image, hardened and without a setting, until it is ready; `body` gets its address. */
async function serving(image: string, body: (host: { readonly url: string }) => Promise<void>): Promise<void> {
  const host = await startImage({}, image);
  try {
    await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready', READY_MS);
    await body(host);
  } finally {
    await host.stop('SIGKILL');
  }
}

/** The digests of the layers, from the first. */
const layersOf = (image: string): string[] =>
  JSON.parse(docker('image', 'inspect', '--format', '{{json .RootFS.Layers}}', image));

describe('an image that copies models to /models', () => {
  const folder = mkdtempSync(join(root, 'own-'));

  test('serves them without any setting, and not the bundled model', async () => {
    assert.equal(LINES, `FROM ${IMAGE}\nCOPY my-models /models\n`);
    writeModel(join(folder, 'my-models'), 'add', addConstant(1));
    await serving(buildOwn(folder), async (host) => {
      assert.deepEqual((await predict(host, [1, 1])).json().prediction, [2, 2]);
      const { models } = (await call(host, '/models')).json();
      assert.deepEqual(
        models.map(({ name }: { name: string }) => name),
        ['add'],
      );
    });
  });

  test('may be of one file', async () => {
    writeFileSync(join(folder, 'model.onnx'), addConstant(1));
    await serving(buildOwn(folder, `FROM ${IMAGE}\nCOPY model.onnx /models/\n`), async (host) => {
      assert.deepEqual((await predict(host, [1, 1])).json().prediction, [2, 2]);
    });
  });

  test('adds one layer, with the models alone', () => {
    const base = layersOf(IMAGE);
    const layers = layersOf(buildOwn(folder));
    assert.deepEqual(layers.slice(0, -1), base);
  });

  test('has its smoke test in it, for a model with golden rows and one without', async () => {
    writeModel(join(folder, 'my-models'), 'iris', readFileSync(join(ROOT, 'models/iris/model.onnx')));
    const golden = join(folder, 'my-models/iris/golden.json');
    cpSync(join(ROOT, 'models/iris/golden.json'), golden);
    for (const [name, expected] of [
      ['iris', /^ok {6}row 5: /m],
      ['add', /^ok {6}example, as the model has no golden\.json: y$/m],
    ] as const) {
      const image = buildOwn(folder, `${LINES}ENV MODEL_NAME=${name}\n`);
      await serving(image, async ({ url }) => {
        const said = docker('run', '--rm', '--network=host', image, 'dist/smoke-test.js', url, '--golden', '/models');
        assert.match(said, expected);
      });
    }
  });
});

describe('layers', () => {
  const source = join(root, 'source');
  const own = join(root, 'layers');
  before(() => {
    copyContext(source);
    writeModel(join(own, 'models'), 'add', addConstant(1));
    writeFileSync(join(own, '.dockerignore'), '*\n!models\n');
    mkdirSync(join(root, 'base'));
  });

  for (const builder of ['0', '1'].filter((value) => canBuild({ DOCKER_BUILDKIT: value }))) {
    const env = { DOCKER_BUILDKIT: builder };
    const tagged = (name: string): string => `onnx-cloud-run-test:${name}-${builder}`;
    /** The layers of the server's image, and those of one with other models that is built on it. */
    function build(name: string): { server: string[]; own: string[] } {
      // On another base, so that the builder makes every layer anew: from its cache they would be the same in any case.
      const base = buildOwn(join(root, 'base'), `FROM ${BASE}\nLABEL made=${Date.now()}\n`, tagged('base'), env);
      buildImage(tagged(name), ['--build-arg', `RUN_IMAGE=${base}`], env, source);
      made.add(tagged(name));
      // As the build of a project does.
      execFileSync('find', ['models', '-exec', 'touch', '-h', '-d', '@0', '{}', '+'], { cwd: own });
      const text = `FROM ${tagged(name)}\nCOPY . /\n`;
      const image = buildOwn(own, text, tagged(`own-${name}`), { DOCKER_BUILDKIT: '0' });
      return { server: layersOf(tagged(name)), own: layersOf(image) };
    }

    test(`DOCKER_BUILDKIT=${builder}: a changed source changes the layer of the server alone, a changed model that of the model`, () => {
      const first = build('first');
      // The layers of the base, of the locale and of the packages come first.
      const bundled = layersOf(BASE).length + 2;
      const server = bundled + 1;
      // Its packages are collected again, and every file has another time.
      appendFileSync(join(source, 'scripts/runtime-modules.ts'), '// Changed.\n');
      appendFileSync(join(source, 'functions/server.ts'), "\nconsole.log('changed');\n");
      for (const file of [join(source, 'models/iris/model.onnx'), join(own, 'models/add/model.onnx')])
        utimesSync(file, 1e9, 1e9);
      const changed = build('changed');
      const differing = (a: readonly string[], b: readonly string[]) =>
        a.flatMap((layer, i) => (layer === b[i] ? [] : [i]));
      assert.deepEqual(differing(first.server, changed.server), [server]);
      assert.deepEqual(differing(first.own, changed.own), [server], 'the layer of the models is the same');

      const model = addConstant(2 + Number(builder));
      writeModel(join(own, 'models'), 'add', model);
      writeModel(join(source, 'models'), 'iris', model);
      const other = build('other');
      assert.deepEqual(differing(changed.server, other.server), [bundled], 'the bundled models');
      assert.deepEqual(
        differing(changed.own, other.own),
        [bundled, other.own.length - 1],
        'the bundled models and the own ones',
      );
    });
  }
});

describe('the project of onnx-cloud-run init', () => {
  /** The network of the tests in place of the one of a build's steps. */
  const NETWORK = 'init-test';
  const TRIED = `us-central1-docker.pkg.dev/my-project/ml/fraud:${BUILT_IN.COMMIT_SHA}`;
  const project = join(root, 'fraud');
  const step = (id: string, env: Record<string, string> = {}) => runStep(id, {}, { NETWORK, ...env }, project);

  before(async () => {
    docker('network', 'create', NETWORK);
    made.add(TRIED);
    const { code, stderr } = await run(process.execPath, [
      join(ROOT, 'dist/cli.js'),
      'init',
      project,
      '--image',
      IMAGE,
    ]);
    assert.equal(code, 0, stderr);
    const built = await step('build');
    assert.equal(built.code, 0, built.stderr);
  });
  afterEach(() => {
    if (docker('ps', '--all', '--quiet', '--filter', 'name=^candidate$') !== '') docker('rm', '--force', 'candidate');
  });
  after(() => docker('network', 'rm', NETWORK));

  test('is built by the line of its README, and serves its model', async () => {
    buildFolder(project, OWN);
    made.add(OWN);
    await serving(OWN, async (host) => {
      const { label, model } = (await predict(host, [5.1, 3.5, 1.4, 0.2])).json();
      assert.deepEqual([label, model.name], ['setosa', 'iris']);
    });
    const list = "JSON.stringify(require('node:fs').readdirSync('/models/fraud').sort())";
    assert.deepEqual(JSON.parse(docker('run', '--rm', OWN, '-p', list)), ['golden.json', 'model.json', 'model.onnx']);
    // Whatever else is in the folder stays out.
    const top = (image: string) => JSON.parse(docker('run', '--rm', image, '-p', list.replace('/models/fraud', '/')));
    assert.deepEqual(top(OWN), [...top(IMAGE), 'models'].sort());
  });

  test('its build tries the image with the golden rows, hardened', async () => {
    const { code, stdout, stderr } = await step('golden-rows');
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^ok {6}row 5: /m);
    const { HostConfig } = JSON.parse(docker('inspect', 'candidate'))[0];
    assert.deepEqual([HostConfig.ReadonlyRootfs, HostConfig.CapDrop], [true, ['ALL']]);
  });

  test('its smoke test sends the golden rows of the image to the revision, with a token for the service', async () => {
    const stub = await startModelStub();
    try {
      stub.audience = 'https://fraud-abc-uc.a.run.app';
      const state = join(root, 'state');
      mkdirSync(state);
      writeFileSync(join(state, 'urls'), `${stub.url} ${stub.audience}\n`);
      const env = { STATE: state, NETWORK: 'host', GCE_METADATA_HOST: new URL(stub.url).host };
      const passed = await step('smoke-test', env);
      assert.equal(passed.code, 0, passed.stdout + passed.stderr);
      assert.match(passed.stdout, /^ok {6}identity token\n(.*\n)*ok {6}row 5: /m);
      stub.change = (outputs) => ({ ...outputs, label: 2 });
      assert.equal((await step('smoke-test', env)).code, 1);
    } finally {
      await stub.close();
    }
  });

  test('a golden row that comes out differently fails its build, which shows what the image logged', async () => {
    const golden = join(project, 'models/fraud/golden.json');
    const text = readFileSync(golden, 'utf8');
    writeFileSync(golden, text.replace(/"label": ?\d/, '"label": 7'));
    assert.notEqual(readFileSync(golden, 'utf8'), text);
    assert.equal((await step('build')).code, 0);
    const { code, stdout } = await step('golden-rows', { WAIT_SECONDS: '5' });
    assert.equal(code, 1);
    assert.match(stdout, /The log of the image:\n.*golden/s);
  });
});
