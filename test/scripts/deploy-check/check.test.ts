import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDeployment } from '../../../scripts/deploy-check/check.ts';
import { showFinding } from '../../../scripts/deploy-check/finding.ts';
import { cloudRun, DOCKERFILE, makeProject } from './fixture.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const SOUND = cloudRun("resources: { limits: { cpu: '2', memory: 2Gi } }");

test('everything in this project that deploys the image agrees with it', async () => {
  const { findings, files } = await checkDeployment(ROOT, false);
  assert.deepEqual(findings.map(showFinding), []);
  const seen = [
    'cloudbuild.yaml',
    'docker-compose.ml.yml',
    'k8s/base/config.env',
    'k8s/base/deployment.yaml',
    'service.yaml',
  ];
  assert.deepEqual(
    seen.filter((file) => !files.includes(file)),
    [],
  );
});

test('all YAML of a project is looked at, whatever it is called', async (t) => {
  const files = {
    'Dockerfile.ml': DOCKERFILE,
    'deep/er/any.yml': SOUND.replace('containerPort: 8080', 'containerPort: 80'),
  };
  const { findings } = await checkDeployment(makeProject(t, files), false);
  assert.deepEqual(findings.map(showFinding), [
    'deep/er/any.yml:8: Service/server spec.template.spec.containers[0].ports[0].containerPort: port 80, but the container listens on 8080',
  ]);
});

test('resources of kustomize must be complete, patches need not', async (t) => {
  const deployment = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }\nspec: { paused: true }\n';
  const files = {
    'Dockerfile.ml': DOCKERFILE,
    'k8s/base/kustomization.yaml': 'resources: [whole.yaml]\npatches: [{ path: patch.yaml }]',
    'k8s/base/whole.yaml': deployment,
    'k8s/base/patch.yaml': deployment,
  };
  const { findings } = await checkDeployment(makeProject(t, files), false);
  assert.deepEqual([...new Set(findings.map(({ file, line }) => `${file}:${line}`))], ['k8s/base/whole.yaml:4']);
});

test('the program says each finding and how much it looked at, and fails with findings', (t) => {
  const run = (text: string) => {
    const root = makeProject(t, { 'Dockerfile.ml': DOCKERFILE, 'service.yaml': text });
    const args = [join(ROOT, 'scripts/deploy-check.ts'), '--root', root];
    return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, CI: '' } });
  };
  const sound = run(SOUND);
  assert.deepEqual(
    [sound.status, sound.stdout],
    [0, '1 files, 0 builds of kustomize and 1 objects checked: 0 findings\n'],
  );
  const broken = run(SOUND.replace('containerPort: 8080', 'containerPort: 80'));
  assert.equal(broken.status, 1);
  assert.match(
    broken.stdout,
    /^service\.yaml:8: Service\/server .*containerPort: port 80, but .*\n1 files, .*: 1 findings\n$/,
  );
});

test('without kubectl the program says how to install it, which is a failure in CI', (t) => {
  const root = makeProject(t, { 'Dockerfile.ml': DOCKERFILE, 'service.yaml': SOUND });
  const args = [join(ROOT, 'scripts/deploy-check.ts'), '--root', root];
  for (const [CI, status] of [
    ['', 0],
    ['1', 1],
  ] as const) {
    const run = spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH: root, CI } });
    assert.equal(run.status, status, run.stderr);
    assert.match(run.stderr, /^builds of kustomize were left out: there is no kubectl: install kubectl/);
  }
});
