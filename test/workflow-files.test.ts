import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { findImages, IMAGE_FILES } from '../scripts/pin-images/references.ts';

const ROOT = join(import.meta.dirname, '..');
const FILES = globSync('.github/workflows/*.yml', { cwd: ROOT }).sort();
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}
interface Job {
  readonly 'timeout-minutes': number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}

const workflow = (name: string): Workflow => parse(read(`.github/workflows/${name}.yml`));
const commands = (name: string): string =>
  Object.values(workflow(name).jobs)
    .flatMap(({ steps }) => steps.map(({ run = '' }) => run))
    .join('\n');

test('there are workflows for a change, for the digests of images, and for a release', () => {
  assert.deepEqual(
    FILES,
    ['ci', 'images', 'release'].map((name) => `.github/workflows/${name}.yml`),
  );
});

for (const file of FILES) {
  const name = file.replace(/^.*\/|\.yml$/g, '');

  test(`${file} names each action by its commit, and says of which version that is`, () => {
    const uses = read(file)
      .split('\n')
      .filter((line) => /\buses:/.test(line));
    assert.ok(uses.length > 0);
    for (const line of uses) assert.match(line, /^ +- uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test(`${file} gives a job no more rights than it names, bounds its time, and leaves no token in the checkout`, () => {
    const { permissions, jobs } = workflow(name);
    assert.ok(Object.values(permissions).every((right) => right === 'read'));
    for (const job of Object.values(jobs)) assert.ok(job['timeout-minutes'] > 0);
    assert.equal(
      read(file).match(/actions\/checkout@/g)?.length,
      read(file).match(/persist-credentials: false/g)?.length,
    );
  });

  test(`${file} runs scripts that exist, without text of an event in them`, () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: object };
    const text = commands(name);
    for (const [, script] of text.matchAll(/npm run ([\w-]+)/g)) assert.ok(script! in scripts, script);
    assert.ok(!text.includes('${{'), 'a run: has an expression: pass it as a variable');
    for (const [, script] of text.matchAll(/node (scripts\/[\w-]+\.ts)/g))
      assert.ok(existsSync(join(ROOT, script!)), script);
    assert.match(text, /^\.ci\/run$/m);
  });
}

test('each week the digests of images are read, and proposed after all tests', () => {
  const { on, permissions, jobs } = workflow('images');
  assert.match((on.schedule as { cron: string }[])[0]!.cron, /^\d+ \d+ \* \* [0-6]$/);
  assert.deepEqual(permissions, {});
  assert.deepEqual(jobs.images?.permissions, { contents: 'write', 'pull-requests': 'write' });
  const text = commands('images');
  assert.ok(text.indexOf('node scripts/pin-images.ts --write') < text.indexOf('.ci/run'));
  assert.ok(text.indexOf('.ci/run') < text.indexOf('git push'));
});

test('a tag of a version is released: published with provenance and no token, with its bills of materials', () => {
  const { on, permissions, jobs } = workflow('release');
  assert.deepEqual(on, { push: { tags: ['v[0-9]+.[0-9]+.[0-9]+'] } });
  assert.deepEqual(permissions, {});
  assert.deepEqual(jobs.release?.permissions, { contents: 'write', 'id-token': 'write' });
  const text = commands('release');
  assert.match(text, /^npm run audit -- --require$/m);
  assert.match(text, /^npm publish --provenance /m);
  assert.match(text, /gh release create .* dist\/sbom\.cdx\.json dist\/THIRD_PARTY_LICENSES\.txt/);
  assert.doesNotMatch(read('.github/workflows/release.yml'), /secrets\.|NPM_TOKEN|NODE_AUTH_TOKEN/);
});

test('Renovate pins images and actions, waits a week with packages of npm, and keeps packages that belong together', () => {
  const config = JSON.parse(read('.github/renovate.json'));
  for (const preset of ['docker:pinDigests', 'helpers:pinGitHubActionDigests', ':maintainLockFilesWeekly'])
    assert.ok(config.extends.includes(preset), preset);
  const rules = config.packageRules as Record<string, unknown>[];
  const find = (key: string, value: unknown) => rules.find((rule) => rule[key] === value);
  assert.deepEqual(find('minimumReleaseAge', '7 days')?.matchDatasources, ['npm']);
  for (const group of ['onnxruntime', 'google-cloud', 'node']) assert.ok(find('groupName', group), group);
});

/** The files that Renovate's managers read by default: https://docs.renovatebot.com/modules/manager/ */
const DEFAULT_FILES = [
  /(^|\/)([Dd]ocker|[Cc]ontainer)file[^/]*$/,
  /(^|\/)(?:docker-)?compose[^/]*\.ya?ml$/,
  /(^|\/)cloudbuild\.ya?ml/,
];

test('Renovate reads every file that names an image of others', () => {
  const { customManagers, kubernetes } = JSON.parse(read('.github/renovate.json'));
  const own = [kubernetes, ...customManagers].flatMap(({ managerFilePatterns }) => managerFilePatterns as string[]);
  const patterns = [...DEFAULT_FILES, ...own.map((text) => new RegExp(text.slice(1, -1)))];
  const files = globSync(IMAGE_FILES, { cwd: ROOT }).filter((file) => findImages(read(file)).length > 0);
  assert.ok(files.length > 5, String(files));
  assert.deepEqual(
    files.filter((file) => !patterns.some((pattern) => pattern.test(file))),
    [],
  );
});

test("each of Renovate's own patterns finds an image in its files", () => {
  const { customManagers } = JSON.parse(read('.github/renovate.json'));
  const files = ['Dockerfile.ml', ...globSync('scripts/cloud-build/*.sh', { cwd: ROOT })];
  for (const { managerFilePatterns, matchStrings } of customManagers) {
    const patterns = managerFilePatterns.map((text: string) => new RegExp(text.slice(1, -1)));
    const own = files.filter((file) => patterns.some((pattern: RegExp) => pattern.test(file)));
    const found = own.flatMap((file) => [...read(file).matchAll(new RegExp(matchStrings[0], 'g'))]);
    assert.equal(found.length, 1, matchStrings[0]);
    assert.ok(['nvidia/cuda', 'node'].includes(found[0]!.groups!.depName!));
  }
});
