import assert from 'node:assert/strict';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parse } from 'yaml';
import { type CloudRunApi, gcloudEnvironment, startCloudRunApi } from '../helpers/google-cloud/cloud-run-api.ts';
import { complaints, gcloudCommands } from '../helpers/google-cloud/gcloud-parser.ts';
import { filesForUpload } from '../helpers/google-cloud/upload.ts';
import { blocks, readPage, section } from '../helpers/readme.ts';
import { ROOT, run } from './program.ts';

const VARIABLES = { PROJECT_ID: 'my-project', REGION: 'us-central1', BUCKET: 'my-bucket' };
/** Pages with commands of gcloud that a reader runs one after the other. */
const PAGES = [
  ...['cloud-run', 'functions', 'cloud-build', 'gke', 'vertex-ai', 'ci'].map((name) => `docs/deploy/${name}.md`),
  'docs/tutorial.md',
];
const FILES = globSync(['service.yaml', 'cloud-run/*.yaml'], { cwd: ROOT }).sort();

let api: CloudRunApi;
let folder: string;
beforeEach(async () => {
  api = await startCloudRunApi();
  folder = mkdtempSync(join(tmpdir(), 'cloud-run-'));
});
afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

/** Runs a line in the project's folder with the real `gcloud`, against the tests' own API. */
function shell(line: string) {
  const env = { ...gcloudEnvironment(api, join(folder, 'gcloud')), ...VARIABLES };
  return run('bash', ['-eo', 'pipefail', '-c', `cd "$0"; ${line}`, ROOT], env);
}

/** The shell blocks of a page, or of a part of it. */
function shellBlocks(text: string): string[] {
  return blocks(text).flatMap((block) => (block.language === 'sh' ? [block.text] : []));
}

/** A copy of the files that the pages' lines read or edit. */
function copyFiles(): string {
  const copy = join(folder, 'files');
  for (const path of ['service.yaml', 'k8s']) cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  return copy;
}

function lineWith(text: string): string {
  const line = PAGES.flatMap((page) => shellBlocks(readPage(page))).find((block) => block.includes(text));
  assert.ok(line, `a page shows a line with ${text}`);
  return line;
}

test('there is service.yaml, and a variant for each purpose', () => {
  const names = ['always-on', 'bucket', 'gpu', 'mounted', 'prometheus', 'redis'].map(
    (name) => `cloud-run/${name}.yaml`,
  );
  assert.deepEqual(FILES, [...names, 'service.yaml']);
});

for (const file of FILES) {
  test(`gcloud takes ${file}, filled in by the page's line, and Cloud Run gets every field of it`, async () => {
    const { code, stderr } = await shell(lineWith('services replace -').replace('service.yaml', file));
    assert.equal(code, 0, stderr);
    const text = readFileSync(join(ROOT, file), 'utf8');
    const filledIn = Object.entries(VARIABLES).reduce((all, [name, value]) => all.replaceAll(name, value), text);
    const given = parse(filledIn);
    const { metadata, spec } = api.services.get('ml-model');
    assert.deepEqual(spec.template, given.spec.template);
    for (const kind of ['annotations', 'labels'] as const)
      for (const [name, value] of Object.entries(given.metadata[kind]))
        assert.equal(metadata[kind]?.[name], value, name);
    assert.deepEqual(api.services.serving('ml-model'), { 'ml-model-00001-abc': 100 });
  });
}

test('a field that Cloud Run does not know is refused', async () => {
  const text = readFileSync(join(ROOT, 'service.yaml'), 'utf8').replace('containerConcurrency', 'containerConcurency');
  writeFileSync(join(folder, 'wrong.yaml'), text);
  const { code, stderr } = await shell(`gcloud run services replace '${folder}/wrong.yaml' --region us-central1`);
  assert.equal(code, 1);
  assert.match(stderr, /containerConcurency/);
  assert.equal(api.services.all.size, 0);
});

test('the deployment command of the page makes a private service with 2 CPUs, 2Gi and 0 to 10 instances', async () => {
  const line = lineWith('gcloud run deploy ml-model');
  const { code, stderr } = await shell(line.slice(line.indexOf('gcloud run deploy')));
  assert.equal(code, 0, stderr);
  const { template } = api.services.get('ml-model').spec as unknown as { template: Record<string, never> };
  assert.match(JSON.stringify(template), /"limits":\{"cpu":"2","memory":"2Gi"\}/);
  assert.match(JSON.stringify(template), /"autoscaling\.knative\.dev\/maxScale":"10"/);
  assert.ok(
    api.calls.every((call) => !call.includes('setIamPolicy')),
    'nobody is let in',
  );
});

for (const page of PAGES) {
  test(`${page}: gcloud knows every command and flag that is shown`, async () => {
    // In one shell, as a reader has it: a variable that no line above has set ends it.
    const text = `cd '${copyFiles()}'; set -u\n${shellBlocks(readPage(page)).join('\n')}`;
    const shown = [await gcloudCommands(text, join(folder, 'shown'))];
    // Its parser would wait for the file on stdin.
    const commands = shown.flat().map((words) => words.map((word) => (word === '-' ? 'service.yaml' : word)));
    assert.ok(commands.length > 1, String(commands.length));
    assert.deepEqual(complaints(commands, [], join(folder, 'gcloud')), []);
  });
}

test('docs/models/sources.md, In a bucket: gcloud knows every command that is shown, and the account is made before it may read', async () => {
  const lines = shellBlocks(section('docs/models/sources.md', 'In a bucket'));
  const commands = await gcloudCommands(`cd '${ROOT}'; set -u\n${lines.join('\n')}`, join(folder, 'shown'));
  assert.deepEqual(complaints(commands, [], join(folder, 'gcloud')), []);
  const shown = commands.map((words) => words.join(' '));
  const made = shown.findIndex((line) => line.startsWith('iam service-accounts create ml-model'));
  const bound = shown.findIndex((line) => line.includes('serviceAccount:ml-model@my-project.iam.gserviceaccount.com'));
  assert.ok(made !== -1 && bound > made, shown.join('\n'));
});

test('gcloud takes cloudbuild.yaml, and no field that Cloud Build does not know', () => {
  assert.deepEqual(complaints([], [join(ROOT, 'cloudbuild.yaml')], join(folder, 'gcloud')), []);
  const wrong = join(folder, 'cloudbuild.yaml');
  writeFileSync(wrong, readFileSync(join(ROOT, 'cloudbuild.yaml'), 'utf8').replace('entrypoint', 'entripoint'));
  const [complaint] = complaints([], [wrong], join(folder, 'gcloud'));
  assert.match(complaint ?? '', /entripoint/);
});

test('gcloud uploads for a function what .gcloudignore leaves by the rules of Git', async () => {
  const { stdout, code, stderr } = await shell('gcloud meta list-files-for-upload .');
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trimEnd().split('\n').sort(), filesForUpload(ROOT));
});

test('gcloud uploads for a build what it needs, by .gcloudbuildignore, and nothing of .git, of an earlier build, or secret', async () => {
  const wanted = filesForUpload(ROOT, '.gcloudbuildignore');
  for (const file of [
    'test/readme.test.ts',
    'service.yaml',
    'cloudbuild.yaml',
    'k8s/base/kustomization.yaml',
    '.dockerignore',
  ])
    assert.ok(wanted.includes(file), file);
  const unwanted = [
    '.git/HEAD',
    '.git/objects/ab/cd',
    'node_modules/zod/index.js',
    'dist/server.js',
    'tmp/x',
    'coverage/x',
    '.env',
  ];
  const tree = join(folder, 'tree');
  for (const file of [...wanted, ...unwanted]) {
    mkdirSync(join(tree, dirname(file)), { recursive: true });
    writeFileSync(join(tree, file), '');
  }
  cpSync(join(ROOT, '.gcloudbuildignore'), join(tree, '.gcloudignore'));
  const { stdout, code, stderr } = await shell(`gcloud meta list-files-for-upload '${tree}'`);
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trimEnd().split('\n').sort(), wanted);
  assert.ok(lineWith('gcloud builds submit').includes('--ignore-file .gcloudbuildignore'));
});
