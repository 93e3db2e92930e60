import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDeployment } from '../../../scripts/deploy-check/check.ts';
import { showFinding } from '../../../scripts/deploy-check/yaml.ts';
import { cloudRun, DOCKERFILE, makeProject } from './fixture.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const SOUND = cloudRun("resources: { limits: { cpu: '2', memory: 2Gi } }");

test('every file outside of k8s/ that deploys the image agrees with it', () => {
  const { findings, files } = checkDeployment(ROOT, false);
  assert.deepEqual(findings.map(showFinding), []);
  const seen = ['cloudbuild.yaml', 'docker-compose.ml.yml', 'k8s/base/deployment.yaml', 'service.yaml'];
  assert.deepEqual(
    seen.filter((file) => !files.includes(file)),
    [],
  );
});

test('all YAML of a project is checked, whatever its name', (t) => {
  const files = {
    'Dockerfile.ml': DOCKERFILE,
    'deep/er/any.yml': SOUND.replace('containerPort: 8080', 'containerPort: 80'),
  };
  const { findings } = checkDeployment(makeProject(t, files), false);
  assert.deepEqual(findings.map(showFinding), [
    'deep/er/any.yml:8: Service/server spec.template.spec.containers[0].ports[0].containerPort: port 80, but the container listens on 8080',
  ]);
});

test('files of k8s/ are only read as YAML: kustomize builds what is checked', (t) => {
  const files = {
    'Dockerfile.ml': DOCKERFILE,
    'k8s/base/patch.yaml': 'apiVersion: apps/v1\nkind: Deployment\nspec: { nothing: true }\n',
    'k8s/base/broken.yaml': 'a: [',
  };
  const { findings } = checkDeployment(makeProject(t, files), false);
  assert.deepEqual([...new Set(findings.map(({ file }) => file))], ['k8s/base/broken.yaml']);
});

test('the program prints each finding and how much it checked, and fails with findings', (t) => {
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
    assert.match(run.stderr, /^k8s\/ is not checked: there is no kubectl: install kubectl/);
  }
});
