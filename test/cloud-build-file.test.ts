import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUILD, BUILT_IN, ROOT, substitute } from './helpers/google-cloud/cloud-build.ts';

const TEXTS = [...BUILD.images, ...BUILD.steps.flatMap(({ name, args, env = [] }) => [name, ...args, ...env])];
const ALL = { ...BUILD.substitutions, ...BUILT_IN };

test('every substitution is used, and every one that is used has a default', () => {
  const used = new Set<string>();
  const spy = new Proxy(ALL, {
    get(values: Record<string, string>, name: string) {
      used.add(name);
      return values[name];
    },
  });
  for (const text of TEXTS) substitute(text, spy);
  assert.deepEqual([...used].sort(), Object.keys(ALL).sort());
});

test('the image lies in Artifact Registry, none of ours in Container Registry', () => {
  const [image] = BUILD.images.map((text) => substitute(text, ALL));
  assert.equal(image, 'us-central1-docker.pkg.dev/my-project/ml/ml-model:0123456789abcdef');
  assert.ok(TEXTS.every((text) => !/gcr\.io\/\$/.test(text)));
});

test('what a step runs is there, and gets every variable that it asks for', () => {
  for (const { id, args, env = [] } of BUILD.steps) {
    const [script] = args;
    if (!script?.startsWith('scripts/')) continue;
    assert.ok(existsSync(join(ROOT, script)), script);
    const text = readFileSync(join(ROOT, script), 'utf8');
    const asked = script.endsWith('.sh')
      ? Array.from(text.matchAll(/\$\{([A-Z_]+):?\?/g), ([, name]) => name)
      : Array.from(text.matchAll(/variable\('([A-Z_]+)'\)/g), ([, name]) => name);
    const given = env.map((line) => line.split('=')[0]);
    assert.deepEqual([...new Set(asked)].sort(), given.sort(), id);
  }
});

test('every image of a step has an exact version, and the one that a script runs is that of the steps', () => {
  const images = new Set(BUILD.steps.map(({ name }) => name));
  for (const image of images) assert.match(image, /:\d+\.\d+\.\d+(-[a-z]+)?(@sha256:[0-9a-f]{64})?$/);
  const [, own] = /^image=(\S+)$/m.exec(readFileSync(join(ROOT, 'scripts/cloud-build/test-image.sh'), 'utf8')) ?? [];
  assert.ok(images.has(own!), own);
});

test("the steps run the package's own Node", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const nodes = BUILD.steps.flatMap(({ name }) => /^node:([\d.]+)/.exec(name)?.[1] ?? []);
  assert.deepEqual([...new Set(nodes)], [devDependencies.node]);
});

test('the traffic moves in steps, and the build has time for them', () => {
  const { _TRAFFIC_STEPS = '', _STEP_SECONDS } = BUILD.substitutions;
  const steps = _TRAFFIC_STEPS.split(' ').map(Number);
  assert.deepEqual(steps, [10, 50, 100]);
  assert.ok(steps.length * Number(_STEP_SECONDS) <= Number.parseInt(BUILD.timeout, 10) / 4);
});

test('the shell scripts are executable', () => {
  for (const name of globSync('scripts/cloud-build/*.sh', { cwd: ROOT })) accessSync(join(ROOT, name), constants.X_OK);
});

test('the build logs where an account of its own may', () => {
  assert.equal(BUILD.options.logging, 'CLOUD_LOGGING_ONLY');
});

test('the build signs where the image comes from, or fails: the image is named in the results, and provenance is requested', () => {
  assert.equal(BUILD.options.requestedVerifyOption, 'VERIFIED');
  assert.equal(BUILD.images.length, 1);
  const pushed = BUILD.steps.find(({ id }) => id === 'push')?.env?.find((line) => line.startsWith('IMAGE='));
  assert.equal(BUILD.images[0], `${pushed?.slice(6)}:$COMMIT_SHA`);
});

test('advisories for shipped packages are checked before anything is built', () => {
  const ids = BUILD.steps.map(({ id }) => id);
  assert.ok(ids.includes('audit') && ids.indexOf('audit') < ids.indexOf('build'));
});

test('a step that runs the image of a folder, of none and of several models gets what says which', () => {
  const { env = [] } = BUILD.steps.find(({ id }) => id === 'run-image')!;
  for (const line of ['MODELS=$_MODELS', 'MODEL_NAME=$_MODEL_NAME', 'GOLDEN=$_GOLDEN'])
    assert.ok(env.includes(line), line);
});
