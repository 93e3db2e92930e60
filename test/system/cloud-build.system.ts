import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { firstService } from '../../scripts/cloud-build/first-service.ts';
import { BUILD, ROOT, runStep } from '../helpers/google-cloud/cloud-build.ts';
import { type CloudRunApi, gcloudEnvironment, startCloudRunApi } from '../helpers/google-cloud/cloud-run-api.ts';
import type { Traffic } from '../helpers/google-cloud/cloud-run-services.ts';
import { type ModelStub, startModelStub } from '../helpers/model-stub.ts';

/** The steps from the deployment on: the real `gcloud` against an API of Cloud Run of the tests' own. */
const STEPS = ['service-file', 'deploy', 'test-revision', 'move-traffic'];
const IMAGE = `us-central1-docker.pkg.dev/my-project/ml/ml-model@sha256:${'a'.repeat(64)}`;
const OTHER_IMAGE = IMAGE.replace('aaaa', 'bbbb');
const FIRST = { COMMIT_SHA: '1111111aaaaaaa', BUILD_ID: 'aaaaaaaa-0001' };
const SECOND = { COMMIT_SHA: '2222222bbbbbbb', BUILD_ID: 'bbbbbbbb-0002' };
const THIRD = { COMMIT_SHA: '3333333ccccccc', BUILD_ID: 'cccccccc-0003' };
const FIRST_REVISION = 'ml-model-1111111-aaaaaaaa';
const SECOND_REVISION = 'ml-model-2222222-bbbbbbbb';
const THIRD_REVISION = 'ml-model-3333333-cccccccc';

/** The steps of cloudbuild.yaml; other tests have one, because each costs seconds. test/scripts/cloud-build/ has more of the script. */
const IN_STEPS = { _TRAFFIC_STEPS: BUILD.substitutions._TRAFFIC_STEPS! };

const SERVICE_URL = 'https://ml-model-abc-uc.a.run.app';

let stub: ModelStub;
let api: CloudRunApi;
let folder: string;
/** What the step that failed wrote. */
let said: string;

beforeEach(async () => {
  stub = await startModelStub();
  stub.audience = SERVICE_URL;
  api = await startCloudRunApi((_, tag) => (tag === undefined ? SERVICE_URL : stub.url));
  folder = mkdtempSync(join(tmpdir(), 'cloud-build-'));
  said = '';
});
afterEach(async () => {
  await Promise.all([stub.close(), api.close()]);
  rmSync(folder, { recursive: true });
});

interface Build {
  readonly COMMIT_SHA: string;
  readonly BUILD_ID: string;
  /** Other values of substitutions. */
  readonly [name: `_${string}`]: string;
}

/** Runs steps of a build in order, to the one that fails, which it names. */
async function build(values: Build, steps: readonly string[] = STEPS, image = IMAGE): Promise<string | undefined> {
  const state = join(folder, values.BUILD_ID);
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'image'), `${image}\n`);
  const env = {
    ...gcloudEnvironment(api, join(folder, 'gcloud')),
    STATE: state,
    GCE_METADATA_HOST: new URL(stub.url).host,
  };
  for (const id of steps) {
    const { code, stdout, stderr } = await runStep(id, { _TRAFFIC_STEPS: '100', _STEP_SECONDS: '0', ...values }, env);
    if (code === 0) continue;
    said = `${stdout}${stderr}`;
    return id;
  }
  return undefined;
}

/** A service as `gcloud run deploy` leaves it: its traffic follows the latest revision. */
function serveFirst(file = 'service.yaml'): void {
  const names = {
    service: 'ml-model',
    revision: FIRST_REVISION,
    image: IMAGE,
    project: 'my-project',
    account: '',
    model: '',
  };
  const service = JSON.parse(firstService(readFileSync(join(ROOT, file), 'utf8'), names));
  api.services.put(service, true);
}

/** Another distribution of the traffic. */
function route(traffic: Traffic[]): void {
  const service = api.services.get('ml-model');
  api.services.put({ ...service, spec: { ...service.spec, traffic } }, false);
}

/** A revision as the steps leave it before the traffic moves: the service has it under the build's tag, and the traffic as before. */
function deployWithoutTraffic(revision: string, { BUILD_ID }: Build): void {
  const service = structuredClone(api.services.get('ml-model'));
  const others = Object.entries(api.services.serving('ml-model')).map(([revisionName, percent]) => ({
    revisionName,
    percent,
  }));
  const tagged = Object.entries(api.services.tags('ml-model')).map(([tag, revisionName]) => ({ tag, revisionName }));
  service.spec.template.metadata!.name = revision;
  service.spec.traffic = [...others, ...tagged, { revisionName: revision, tag: `build-${BUILD_ID.slice(0, 8)}` }];
  api.services.put(service, false);
}

test('the steps end with a deployment without traffic, its smoke test, the traffic and latest, in this order', () => {
  assert.deepEqual(
    BUILD.steps.map(({ id }) => id),
    ['install', 'audit', 'test', 'build', 'run-image', 'test-image', 'push', ...STEPS, 'tag-latest', 'push-latest'],
  );
});

test('the first deployment makes the service from service.yaml, by digest, with an account of its own, and is tested too', async () => {
  assert.equal(await build(FIRST), undefined, said);
  assert.deepEqual(stub.paths.slice(0, 3), [
    '/computeMetadata/v1/instance/service-accounts/default/identity',
    '/ready',
    '/predict',
  ]);
  const { template } = api.services.get('ml-model').spec;
  assert.equal(template.spec.containers[0]!.image, IMAGE);
  assert.equal(template.spec.serviceAccountName, 'ml-model@my-project.iam.gserviceaccount.com');
  assert.equal(template.metadata!.annotations!['autoscaling.knative.dev/maxScale'], '10');
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), {});
});

test('a later deployment gets no traffic until its smoke test has passed, then all of it', async () => {
  serveFirst();
  assert.equal(await build(SECOND, ['service-file', 'deploy']), undefined, said);
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), { 'build-bbbbbbbb': SECOND_REVISION });
  assert.equal(await build(SECOND, ['test-revision', 'move-traffic']), undefined, said);
  assert.deepEqual(api.services.serving('ml-model'), { [SECOND_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), {});
});

/** The shares of the new revision at each reading of the request logs, which have `errors` of 1000 responses from the share `from` on. */
function logErrors(errors: number, from = 0): number[] {
  const shares: number[] = [];
  api.statuses = (revision) => {
    const share = api.services.serving('ml-model')[revision] ?? 0;
    shares.push(share);
    return Array.from({ length: 1000 }, (_, i) => (share >= from && i < errors ? 500 + (i % 5) : 200 + (i % 300)));
  };
  return shares;
}

test('the traffic moves in steps, each of which ends with a reading of the request logs', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  const shares = logErrors(10);
  assert.equal(await build({ ...SECOND, ...IN_STEPS }, ['move-traffic']), undefined, said);
  assert.deepEqual(shares, [10, 50, 100]);
  assert.deepEqual(api.services.serving('ml-model'), { [SECOND_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), {});
});

test('more errors than allowed give the old revision its traffic back, and fail the build', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  const shares = logErrors(11, 50);
  assert.equal(await build({ ...SECOND, ...IN_STEPS }, ['move-traffic']), 'move-traffic');
  assert.deepEqual(shares, [10, 50]);
  assert.match(said, /11 of 1000 requests got a server error; 1 % are allowed/);
  assert.match(said, /the traffic goes back to ml-model-1111111-aaaaaaaa=100; ml-model-2222222-bbbbbbbb keeps its tag/);
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), { 'build-bbbbbbbb': SECOND_REVISION });
});

test('request logs that the build may not read fail it, with the traffic where it was', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  api.refuses = /entries:list$/;
  assert.equal(await build(SECOND, ['move-traffic']), 'move-traffic');
  assert.match(said, /PERMISSION_DENIED|refused/i);
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
});

test('a later deployment changes the image and keeps the settings that the service has', async () => {
  serveFirst();
  const before = api.services.revisions.get(FIRST_REVISION)!;
  assert.equal(await build(SECOND, ['service-file', 'deploy'], OTHER_IMAGE), undefined, said);
  const { spec, metadata } = api.services.revisions.get(SECOND_REVISION)!;
  assert.equal(spec.containers[0]!.image, OTHER_IMAGE);
  const sameImage = { ...spec, containers: [{ ...spec.containers[0], image: IMAGE }] };
  assert.deepEqual(sameImage, before.spec);
  assert.equal(metadata!.annotations!['run.googleapis.com/execution-environment'], 'gen2');
});

test('with a collector beside the server, the image that changes is the one of the server', async () => {
  serveFirst('cloud-run/prometheus.yaml');
  assert.equal(await build(SECOND, ['service-file', 'deploy'], OTHER_IMAGE), undefined, said);
  const [server, collector] = api.services.get('ml-model').spec.template.spec.containers;
  assert.equal(server!.image, OTHER_IMAGE);
  assert.match(collector!.image, /cloud-run-gmp-sidecar/);
});

test('a smoke test that fails leaves the traffic where it was, and the revision under its tag', async () => {
  serveFirst();
  stub.change = (outputs) => ({ ...outputs, label: 2 });
  assert.equal(await build(SECOND), 'test-revision');
  assert.match(said, /FAILED {2}row 0: outputs\.label/);
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), { 'build-bbbbbbbb': SECOND_REVISION });
});

test('a revision that does not start fails the build, and leaves the traffic where it was', async () => {
  serveFirst();
  api.services.healthy = false;
  assert.equal(await build(SECOND), 'deploy');
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
});

test('the traffic goes to the revision that was tested, though another has been deployed meanwhile', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  deployWithoutTraffic(THIRD_REVISION, THIRD);
  assert.equal(await build(SECOND, ['move-traffic']), undefined, said);
  assert.deepEqual(api.services.serving('ml-model'), { [SECOND_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), { 'build-cccccccc': THIRD_REVISION });
});

test('a build that a newer one has overtaken fails at the traffic, and leaves it there', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  deployWithoutTraffic(THIRD_REVISION, THIRD);
  route([
    { revisionName: THIRD_REVISION, percent: 100 },
    { revisionName: SECOND_REVISION, tag: 'build-bbbbbbbb' },
  ]);
  assert.equal(await build(SECOND, ['move-traffic']), 'move-traffic');
  assert.match(
    said,
    /ml-model-2222222-bbbbbbbb gets no more traffic: ml-model-3333333-cccccccc, which serves, is newer/,
  );
  assert.deepEqual(api.services.serving('ml-model'), { [THIRD_REVISION]: 100 });
  assert.deepEqual(api.services.tags('ml-model'), { 'build-bbbbbbbb': SECOND_REVISION });
});

test('a newer revision that has only a part of the traffic keeps it, too', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  deployWithoutTraffic(THIRD_REVISION, THIRD);
  route([
    { revisionName: FIRST_REVISION, percent: 90 },
    { revisionName: THIRD_REVISION, percent: 10 },
    { revisionName: SECOND_REVISION, tag: 'build-bbbbbbbb' },
  ]);
  assert.equal(await build(SECOND, ['move-traffic']), 'move-traffic');
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 90, [THIRD_REVISION]: 10 });
});

test('after a return to an older revision the next build gets the traffic', async () => {
  serveFirst();
  deployWithoutTraffic(SECOND_REVISION, SECOND);
  route([{ revisionName: SECOND_REVISION, percent: 100 }]);
  route([{ revisionName: FIRST_REVISION, percent: 100 }]);
  deployWithoutTraffic(THIRD_REVISION, THIRD);
  assert.equal(await build(THIRD, ['move-traffic']), undefined, said);
  assert.deepEqual(api.services.serving('ml-model'), { [THIRD_REVISION]: 100 });
});

test('the revision is tried with rows of its own where they are given', async () => {
  serveFirst();
  const rows = join(folder, 'golden.json');
  const golden = JSON.parse(readFileSync(join(ROOT, 'models/iris/golden.json'), 'utf8'));
  writeFileSync(rows, JSON.stringify({ ...golden, rows: golden.rows.slice(0, 1) }));
  const steps = ['service-file', 'deploy', 'test-revision'];
  assert.equal(await build({ ...SECOND, _SERVICE_GOLDEN: rows }, steps), undefined, said);
  assert.equal(stub.paths.filter((path) => path === '/predict').length, 1);
});

test('a service whose first deployment never got ready is deployed again like a first one', async () => {
  api.services.healthy = false;
  assert.equal(await build(FIRST), 'deploy');
  api.services.healthy = true;
  assert.equal(await build(SECOND), undefined, said);
  assert.deepEqual(api.services.serving('ml-model'), { [SECOND_REVISION]: 100 });
});

test('an API that refuses to list is not taken for a service that is not there', async () => {
  serveFirst();
  api.refuses = /\/services$/;
  assert.equal(await build(SECOND), 'deploy');
  assert.match(said, /PERMISSION_DENIED|refused/i);
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
  assert.deepEqual([...api.services.revisions.keys()], [FIRST_REVISION]);
});

test('a tag that somebody moved before the smoke test ends the build before anything is tested', async () => {
  serveFirst();
  api.afterChange = () => route(api.services.get('ml-model').spec.traffic!.filter(({ tag }) => tag === undefined));
  assert.equal(await build(SECOND), 'deploy');
  assert.match(said, /has no tag build-bbbbbbbb on ml-model-2222222-bbbbbbbb/);
  assert.deepEqual(api.services.serving('ml-model'), { [FIRST_REVISION]: 100 });
});
