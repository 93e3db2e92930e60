import assert from 'node:assert/strict';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import { parse } from 'yaml';
import { createProject, type ProjectOptions } from '../../functions/cli/init/create-project.ts';
import { ServingError } from '../../functions/errors.ts';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { checkDeployment } from '../../scripts/deploy-check/check.ts';
import { showFinding } from '../../scripts/deploy-check/yaml.ts';
import { BUILD, BUILT_IN, ROOT, readBuild, substitute } from '../helpers/google-cloud/cloud-build.ts';
import { externalWeights } from '../helpers/models.ts';
import { blocks, readPage, table } from '../helpers/readme.ts';
import { run } from '../system/program.ts';

const SOURCES = { template: join(ROOT, 'dist/template'), example: join(ROOT, 'models/iris') };
const IRIS = join(SOURCES.example, 'model.onnx');
const FILES = [
  '.dockerignore',
  '.gcloudignore',
  '.github/workflows/deploy.yml',
  'Dockerfile',
  'README.md',
  'cloud-build/build-image.sh',
  'cloud-build/deploy.sh',
  'cloud-build/move-traffic.sh',
  'cloud-build/push-image.sh',
  'cloud-build/service-file.sh',
  'cloud-build/test-image.sh',
  'cloud-build/test-revision.sh',
  'cloudbuild.yaml',
  'service.yaml',
];
const OF_EXAMPLE = ['models/fraud/golden.json', 'models/fraud/model.json', 'models/fraud/model.onnx'];

let root: string;
let folder: string;
before(() => buildIfNeeded('ctimeMs'));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'init-'));
  folder = join(root, 'fraud');
});
afterEach(() => rmSync(root, { recursive: true }));

const create = (options: Partial<ProjectOptions> = {}) => createProject({ folder, ...options }, SOURCES);
const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
/** The files of the folder, those with a dot too. */
const list = (): string[] =>
  globSync(['**/*', '**/.*', '**/.github/**/*'], { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

/** Runs the command line. */
const init = (...args: string[]) => run(process.execPath, [join(ROOT, 'functions/cli/main.ts'), 'init', ...args]);

describe('the files', () => {
  test('are those of a project with the example, named after its folder, and no placeholder is left in them', () => {
    const { files, replaced } = create();
    assert.deepEqual([...files].sort(), [...FILES, ...OF_EXAMPLE].sort());
    assert.deepEqual(replaced, []);
    assert.deepEqual(
      list(),
      [...new Set(list())].filter((file) => files.includes(file)),
    );
    assert.equal(list().length, files.length);
    for (const file of FILES) assert.doesNotMatch(read(file), /__[A-Z]/, file);
    for (const file of OF_EXAMPLE)
      assert.deepEqual(readFileSync(join(folder, file)), readFileSync(join(SOURCES.example, file.split('/').at(-1)!)));
  });

  test('Dockerfile has three instructions, of which the last puts the models where the image serves them, and nothing else', () => {
    create();
    assert.match(read('Dockerfile'), /^ARG BASE=ml-model\nFROM \$\{BASE\}\n#.*\nCOPY \. \/\n$/);
    assert.deepEqual(read('.dockerignore').match(/^[^#*].*$/gm), ['!models']);
    const stages = readFileSync(join(ROOT, 'Dockerfile.ml'), 'utf8').match(/ DEFAULT_MODEL_FOLDER=\/models\b/g);
    assert.equal(stages?.length, 2);
  });

  test('have the names that are given', () => {
    create({ name: 'iris-eu', project: 'my-project', region: 'europe-west1', image: 'ghcr.io/acme/server:1.2' });
    const { metadata, spec } = parse(read('service.yaml'));
    assert.equal(metadata.name, 'iris-eu');
    assert.equal(spec.template.spec.containers[0].image, 'europe-west1-docker.pkg.dev/my-project/ml/iris-eu:latest');
    assert.equal(spec.template.spec.serviceAccountName, 'ml-model@my-project.iam.gserviceaccount.com');
    const { _REGION, _SERVICE, _IMAGE, _BASE } = readBuild(folder).substitutions;
    assert.deepEqual(
      [_REGION, _SERVICE, _IMAGE, _BASE],
      ['europe-west1', 'iris-eu', 'iris-eu', 'ghcr.io/acme/server:1.2'],
    );
    assert.match(read('Dockerfile'), /^ARG BASE=ghcr\.io\/acme\/server:1\.2$/m);
    const { env } = parse(read('.github/workflows/deploy.yml')).jobs.deploy;
    assert.deepEqual(env, { PROJECT_ID: 'my-project', REGION: 'europe-west1' });
    assert.match(read('README.md'), /^export PROJECT_ID=my-project REGION=europe-west1$/m);
    assert.ok(existsSync(join(folder, 'models/iris-eu/model.onnx')));
  });

  test('that exist are refused by name, and nothing is written; --force replaces them and says so', async () => {
    mkdirSync(join(folder, 'models/fraud'), { recursive: true });
    for (const file of ['service.yaml', 'models/fraud/model.onnx']) writeFileSync(join(folder, file), 'mine');
    const refused = await init(folder);
    assert.deepEqual([refused.code, refused.stdout], [1, '']);
    assert.equal(
      refused.stderr,
      `onnx-cloud-run: nothing was written, because ${folder} has service.yaml, models/fraud/model.onnx: --force replaces these files\n`,
    );
    assert.deepEqual(list(), ['models/fraud/model.onnx', 'service.yaml']);
    assert.equal(read('service.yaml'), 'mine');
    const forced = await init(folder, '--force', '--project', 'my-project');
    assert.equal(forced.code, 0, forced.stderr);
    assert.match(forced.stdout, /^ {2}service\.yaml \(replaced\)$/m);
    assert.match(forced.stdout, /^ {2}cloudbuild\.yaml$/m);
    assert.notEqual(read('service.yaml'), 'mine');
  });

  test('without --project the program says what has to be replaced', async () => {
    const { stdout, code } = await init(folder, '--name', 'iris');
    assert.equal(code, 0);
    assert.match(stdout, /^Replace PROJECT_ID in .*, or use --project\.$/m);
    for (const file of ['README.md', 'service.yaml', '.github/workflows/deploy.yml']) {
      assert.ok(stdout.includes(file), file);
      assert.match(read(file), /(?<!\$)PROJECT_ID(?=[^=:])/, file);
    }
  });
});

describe('values', () => {
  const bad: [Partial<ProjectOptions>, RegExp][] = [
    [{ name: 'Fraud' }, /^--name: it takes lowercase letters, .*, and not "Fraud"$/],
    [{ name: '1st' }, /and not "1st"$/],
    [{ name: 'fraud-' }, /and not "fraud-"$/],
    [{ name: 'a_b' }, /and not "a_b"$/],
    [{ name: '' }, /^--name: .* and not ""$/],
    [{ name: 'a'.repeat(47) }, /at most 46 characters, and not /],
    [
      { folder: '/tmp/My Models' },
      /^the name of the folder is not one for a service, give --name: it takes .*, and not "My Models"$/,
    ],
    [{ project: 'My Project' }, /^--project: it takes the id of a project: .*, and not "My Project"$/],
    [{ project: 'short' }, /and not "short"$/],
    [{ region: 'europe' }, /^--region: it takes a region such as europe-west1, and not "europe"$/],
    [{ image: 'ml-model\nRUN x' }, /and not "ml-model\\nRUN x"$/],
    [{ image: '' }, /^--image: .* and not ""$/],
  ];
  for (const [options, message] of bad) {
    test(`${JSON.stringify(options)} are refused before anything is written`, () => {
      assert.throws(() => create(options), { code: 'INVALID_INPUT', message });
      assert.ok(!existsSync(folder));
    });
  }

  test('on the command line are wrong usage: one line, and exit code 2', async () => {
    const { code, stdout, stderr } = await init(folder, '--name', 'Fraud');
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(
      stderr,
      /^onnx-cloud-run: .*'--name <name>' argument 'Fraud' is invalid\. It takes lowercase letters.*\n$/,
    );
  });

  test('a name of 46 characters leaves room for those of a revision, and a project of an organisation has a colon', () => {
    create({ name: 'a'.repeat(46), project: 'example.com:my-project' });
    const revision = `${'a'.repeat(46)}-${BUILT_IN.COMMIT_SHA.slice(0, 7)}-${BUILT_IN.BUILD_ID.slice(0, 8)}`;
    assert.equal(revision.length, 63);
  });
});

describe('a model', () => {
  test('that is a file is copied as model.onnx, with its external data beside it, and no golden rows of the example', () => {
    const file = join(root, 'exported.onnx');
    const { model, data } = externalWeights('weights/part.data');
    writeFileSync(file, model);
    assert.throws(() => create({ model: file }), {
      message: `--model ${file}: expected its data weights/part.data beside it`,
    });
    mkdirSync(join(root, 'weights'));
    writeFileSync(join(root, 'weights/part.data'), data);
    create({ model: file });
    assert.deepEqual(
      list().filter((path) => path.startsWith('models/')),
      ['models/fraud/model.onnx', 'models/fraud/weights/part.data'],
    );
  });

  test('that is a folder is copied with its versions and all that is beside them', () => {
    for (const version of ['1', '2']) cpSync(SOURCES.example, join(root, 'iris', version), { recursive: true });
    create({ model: join(root, 'iris') });
    for (const path of ['1/model.onnx', '2/golden.json'])
      assert.ok(existsSync(join(folder, 'models/fraud', path)), path);
  });

  test('whose files are links, as in a cache of downloads, is copied as the files themselves', () => {
    mkdirSync(join(root, 'snapshot'));
    for (const file of ['model.onnx', 'golden.json']) {
      cpSync(join(SOURCES.example, file), join(root, `blob-${file}`));
      symlinkSync(`../blob-${file}`, join(root, 'snapshot', file));
    }
    for (const model of [join(root, 'snapshot'), join(root, 'snapshot/model.onnx')]) {
      create({ model, force: true });
      const copy = join(folder, 'models/fraud/model.onnx');
      assert.ok(lstatSync(copy).isFile(), model);
      assert.deepEqual(readFileSync(copy), readFileSync(IRIS));
      assert.ok(lstatSync(join(folder, 'models/fraud/golden.json')).isFile());
    }
  });

  test('that cannot be used is refused with what was expected, and nothing is written', () => {
    const text = join(root, 'text.onnx');
    writeFileSync(text, 'not a model');
    mkdirSync(join(root, 'empty'));
    const cases: [string, RegExp][] = [
      [join(root, 'nowhere.onnx'), /nowhere\.onnx: no such file or folder$/],
      [join(root, 'empty'), /empty: expected model\.onnx in it, or in a folder with the number of a version$/],
      [text, /text\.onnx: expected an ONNX model, but /],
    ];
    for (const [model, message] of cases) {
      assert.throws(
        () => create({ model }),
        (error) => error instanceof ServingError && message.test(error.message),
      );
      assert.ok(!existsSync(folder));
    }
  });
});

describe('the build', () => {
  beforeEach(() => void create({ name: 'ml-model', project: 'my-project' }));

  test('its files have the fields of Cloud Build and Cloud Run, and agree with the image, as those of this repository', () => {
    cpSync(join(ROOT, 'Dockerfile.ml'), join(folder, 'Dockerfile.ml'));
    const { findings, files } = checkDeployment(folder, false);
    assert.deepEqual(findings.map(showFinding), []);
    assert.deepEqual(files, ['cloudbuild.yaml', 'service.yaml']);
  });

  test('its steps are: image, golden rows, push, deployment without traffic, smoke test, traffic', () => {
    const { steps, options, images, substitutions } = readBuild(folder);
    assert.equal(substitutions._TRAFFIC_STEPS, '10 50 100');
    assert.deepEqual(
      steps.map(({ id }) => id),
      [
        ...['build', 'golden-rows', 'push', 'service-file', 'deploy', 'smoke-test', 'move-traffic'],
        ...['tag-latest', 'push-latest'],
      ],
    );
    assert.deepEqual([options.logging, options.requestedVerifyOption], ['CLOUD_LOGGING_ONLY', 'VERIFIED']);
    const pushed = steps.find(({ id }) => id === 'push')?.env?.find((line) => line.startsWith('IMAGE='));
    assert.deepEqual(images, [`${pushed?.slice(6)}:$COMMIT_SHA`]);
  });

  test('its steps run in the images of the build of this repository', () => {
    const known = BUILD.steps.map(({ name }) => name);
    for (const { id, name } of readBuild(folder).steps) assert.ok(known.includes(name), `${id}: ${name}`);
  });

  test('every substitution is used and has a default, and every script is executable and gets the variables that it asks for', () => {
    const { substitutions, steps, images } = readBuild(folder);
    const used = new Set<string>();
    const spy = new Proxy({ ...substitutions, ...BUILT_IN } as Record<string, string>, {
      get(values, name: string) {
        used.add(name);
        return values[name];
      },
    });
    for (const { name, args, env = [] } of steps) for (const text of [name, ...args, ...env]) substitute(text, spy);
    for (const text of [...images, ...Object.values(substitutions)]) substitute(text, spy);
    assert.deepEqual([...used].sort(), [...Object.keys(substitutions), ...Object.keys(BUILT_IN)].sort());
    for (const { id, args, env = [] } of steps.filter(({ entrypoint }) => entrypoint === 'bash')) {
      accessSync(join(folder, args[0]!), constants.X_OK);
      const asked = Array.from(read(args[0]!).matchAll(/\$\{([A-Z_]+):?\?/g), ([, name]) => name!);
      const given = env.map((line) => line.split('=')[0]);
      assert.deepEqual(
        asked.filter((name) => !given.includes(name)),
        [],
        id,
      );
    }
  });

  test('a build by hand without a commit says what to give, as it is typed', async () => {
    const env = { ...BUILT_IN, COMMIT_SHA: '', IMAGE: 'a', BASE: 'b', TARGET: 'cpu', MODELS: '' };
    for (const script of [
      join(folder, 'cloud-build/build-image.sh'),
      join(ROOT, 'scripts/cloud-build/build-image.sh'),
    ]) {
      const { code, stderr } = await run('bash', [script], env);
      assert.notEqual(code, 0);
      assert.match(stderr, /by hand give --substitutions COMMIT_SHA=\$\(git rev-parse HEAD\)\n$/, script);
    }
  });

  test('the first service is service.yaml with the image by digest, the project and the name of the revision', async () => {
    const state = join(root, 'state');
    mkdirSync(state);
    writeFileSync(join(state, 'image'), 'us-central1-docker.pkg.dev/my-project/ml/ml-model@sha256:abc\n');
    const env = { ...BUILT_IN, SERVICE: 'ml-model', STATE: state };
    const write = () => run('bash', ['-c', `cd '${folder}' && bash cloud-build/service-file.sh`], env);
    const { code, stderr } = await write();
    assert.equal(code, 0, stderr);
    const expected = parse(read('service.yaml'));
    expected.spec.template.metadata.name = 'ml-model-0123456-aaaaaaaa';
    expected.spec.template.spec.containers[0].image = 'us-central1-docker.pkg.dev/my-project/ml/ml-model@sha256:abc';
    assert.deepEqual(parse(readFileSync(join(state, 'service.json'), 'utf8')), expected);
    writeFileSync(
      join(folder, 'service.yaml'),
      read('service.yaml').replace('    metadata:\n', '    metadata: # mine\n'),
    );
    const edited = await write();
    assert.equal(edited.code, 1);
    assert.match(edited.stderr, /service\.yaml: expected one line that matches '\^ {4}metadata:\$'/);
  });
});

describe("GitHub's workflow", () => {
  beforeEach(() => void create({ project: 'my-project' }));

  test('names each action by its commit, has no secret, no more rights than it needs, and no text of an event in a command', () => {
    const text = read('.github/workflows/deploy.yml');
    const uses = text.split('\n').filter((line) => /\buses:/.test(line));
    assert.equal(uses.length, 3);
    for (const line of uses) assert.match(line, /^ +- uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    assert.doesNotMatch(text, /secrets\.|credentials_json|pull_request/);
    const { permissions, jobs } = parse(text);
    assert.deepEqual(permissions, {});
    assert.deepEqual(jobs.deploy.permissions, { contents: 'read', 'id-token': 'write' });
    assert.ok(jobs.deploy['timeout-minutes'] > 0);
    assert.match(text, /persist-credentials: false/);
    const commands = jobs.deploy.steps.map(({ run: command = '' }: { run?: string }) => command);
    assert.ok(commands.every((command: string) => !command.includes('${{')));
  });

  test("checks out with the action of this repository's workflows, and uploads no credentials", () => {
    const checkout = /actions\/checkout@\S+ # \S+/;
    const own = checkout.exec(readFileSync(join(ROOT, '.github/workflows/ci.yml'), 'utf8'))?.[0];
    assert.equal(checkout.exec(read('.github/workflows/deploy.yml'))?.[0], own);
    assert.match(read('.gcloudignore'), /^gha-creds-\*\.json$/m);
  });

  test('runs the command of the README', () => {
    const words = (text: string): string[] =>
      text
        .replaceAll(/\\\n|["{}]/g, ' ')
        .split(/\s+/)
        .filter(Boolean);
    const { steps } = parse(read('.github/workflows/deploy.yml')).jobs.deploy;
    const shown = blocks(read('README.md')).find(({ text }) => text.startsWith('gcloud builds submit'))!.text;
    const inWorkflow = words(steps.at(-1).run).filter((word) => !['--project', '$PROJECT_ID'].includes(word));
    assert.deepEqual(inWorkflow.slice(0, -1), words(shown).slice(0, inWorkflow.length - 1));
  });
});

test('the line and the files of docs/deploy/own-image.md are those of the program', async () => {
  const page = readPage('docs/deploy/own-image.md');
  const [line] = blocks(page);
  writeFileSync(join(root, 'model.onnx'), readFileSync(IRIS));
  const typed = line!.text.replace(
    'npx onnx-cloud-run',
    `'${process.execPath}' '${join(ROOT, 'functions/cli/main.ts')}'`,
  );
  const { code, stderr } = await run('bash', ['-c', `cd '${root}' && ${typed}`]);
  assert.equal(code, 0, stderr);
  const named = table(page, 'file').flatMap(([cell]) => cell!.replaceAll('`', '').split(', '));
  for (const file of named) assert.ok(existsSync(join(folder, file)), file);
  const { stdout: help } = await init('--help');
  for (const [option] of table(page, 'option').slice(1)) assert.ok(help.includes(option!.replaceAll('`', '')), option);
});

test('README names files that exist', () => {
  create();
  const named = Array.from(read('README.md').matchAll(/^\| `([^|]*)` \|/gm), ([, cell]) => cell!.split('`, `')).flat();
  assert.ok(named.length > 5);
  for (const file of named) assert.ok(existsSync(join(folder, file)), file);
});
