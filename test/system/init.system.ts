import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { runStep } from '../helpers/google-cloud/cloud-build.ts';
import { type CloudRunApi, gcloudEnvironment, startCloudRunApi } from '../helpers/google-cloud/cloud-run-api.ts';
import { complaints, gcloudCommands } from '../helpers/google-cloud/gcloud-parser.ts';
import { blocks } from '../helpers/readme.ts';
import { ROOT, run } from './program.ts';

const IMAGE = `us-central1-docker.pkg.dev/my-project/ml/fraud@sha256:${'a'.repeat(64)}`;
const FIRST = { COMMIT_SHA: '1111111aaaaaaa', BUILD_ID: 'aaaaaaaa-0001' };
const SECOND = { COMMIT_SHA: '2222222bbbbbbb', BUILD_ID: 'bbbbbbbb-0002' };

let api: CloudRunApi;
let root: string;
let project: string;
beforeEach(async () => {
  api = await startCloudRunApi();
  root = mkdtempSync(join(tmpdir(), 'init-'));
  project = join(root, 'fraud');
  const program = [join(ROOT, 'dist/cli.js'), 'init', project, '--project', 'my-project'];
  const { code, stderr } = await run(process.execPath, program);
  assert.equal(code, 0, stderr);
});
afterEach(async () => {
  await api.close();
  rmSync(root, { recursive: true });
});

/** Runs steps of the project's build, with the real `gcloud` against the tests' own API of Cloud Run. */
async function build(values: typeof FIRST & { _TRAFFIC_STEPS?: string }, steps: readonly string[]): Promise<void> {
  const state = join(root, values.BUILD_ID);
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'image'), `${IMAGE}\n`);
  const env = { ...gcloudEnvironment(api, join(root, 'gcloud')), STATE: state };
  for (const id of steps) {
    const { code, stdout, stderr } = await runStep(id, { _STEP_SECONDS: '0', ...values }, env, project);
    assert.equal(code, 0, `${id}: ${stdout}${stderr}`);
  }
}

test('the first build makes the service of service.yaml, the next gets no traffic until it has passed, then all in steps', async () => {
  await build(FIRST, ['service-file', 'deploy']);
  const { template } = api.services.get('fraud').spec;
  assert.equal(template.spec.containers[0]!.image, IMAGE);
  assert.equal(template.spec.serviceAccountName, 'ml-model@my-project.iam.gserviceaccount.com');
  assert.deepEqual(api.services.serving('fraud'), { 'fraud-1111111-aaaaaaaa': 100 });
  await build(SECOND, ['service-file', 'deploy']);
  assert.deepEqual(api.services.serving('fraud'), { 'fraud-1111111-aaaaaaaa': 100 });
  const shares: number[] = [];
  api.statuses = (revision) => {
    shares.push(api.services.serving('fraud')[revision] ?? 0);
    return [200];
  };
  // Each step is a handful of calls of gcloud, which take a second each.
  await build({ ...SECOND, _TRAFFIC_STEPS: '10 100' }, ['move-traffic']);
  assert.deepEqual(shares, [10, 100]);
  assert.deepEqual(api.services.serving('fraud'), { 'fraud-2222222-bbbbbbbb': 100 });
  assert.deepEqual(Object.keys(api.services.tags('fraud')), ['build-aaaaaaaa']);
});

test('gcloud knows every command and flag of the README, and every field of cloudbuild.yaml', async () => {
  const shown = blocks(readFileSync(join(project, 'README.md'), 'utf8')).filter(({ language }) => language === 'sh');
  const text = `cd '${project}'; set -u\n${shown.map((block) => block.text).join('\n')}`;
  const commands = await gcloudCommands(text, join(root, 'shown'));
  assert.ok(commands.length > 25, String(commands.length));
  assert.deepEqual(complaints(commands, [join(project, 'cloudbuild.yaml')], join(root, 'gcloud')), []);
});

test('gcloud uploads the models and the build, and neither the credentials of a workflow nor .git', async () => {
  for (const file of ['gha-creds-0123.json', '.env', 'key.pem', '.git/HEAD']) {
    mkdirSync(join(project, file, '..'), { recursive: true });
    writeFileSync(join(project, file), 'secret');
  }
  const env = gcloudEnvironment(api, join(root, 'gcloud'));
  const { stdout, code, stderr } = await run(
    'bash',
    ['-c', `cd '${project}' && gcloud meta list-files-for-upload .`],
    env,
  );
  assert.equal(code, 0, stderr);
  const files = stdout.trimEnd().split('\n');
  for (const file of ['models/fraud/model.onnx', 'Dockerfile', '.dockerignore', 'cloud-build/deploy.sh'])
    assert.ok(files.includes(file), file);
  assert.deepEqual(
    files.filter((file) => /gha-creds|\.env|\.pem|\.git\//.test(file)),
    [],
  );
});
