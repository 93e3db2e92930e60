import assert from 'node:assert/strict';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { planSettings } from '../../../functions/cli/write-settings/plan-settings.ts';
import { numberOf, quantityOf } from '../../../functions/cli/write-settings/settings.ts';
import { describeFiles, writeFiles } from '../../../functions/cli/write-settings/write-files.ts';
import { ServingError } from '../../../functions/errors.ts';

const ROOT = join(import.meta.dirname, '../../..');
const GIB = 2 ** 30;
const SETTINGS = {
  memoryBytes: 4 * GIB,
  cpu: 4,
  concurrency: 160,
  variables: { INFERENCE_PROCESSES: '2', INTRA_OP_THREADS: '2', WEIGHTS: undefined },
};

function folder(t: TestContext, files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'write-settings-'));
  t.after(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

test('a file of several documents keeps its markers', (t) => {
  const text =
    'kind: ConfigMap\nmetadata:\n  name: c\n---\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: a\n';
  const project = folder(t, { 'k8s/all.yaml': text });
  const [file] = planSettings(project, { cpu: 2 }).files;
  assert.equal(file?.text, `${text}          resources:\n            limits:\n              cpu: '2'\n`);
});

test('resources that are an alias are refused, with their place', (t) => {
  const text =
    'x: &r {}\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: a\n          resources: *r\n';
  const project = folder(t, { 'k8s/all.yaml': text });
  assert.throws(
    () => planSettings(project, { cpu: 2 }),
    (error) => error instanceof ServingError && /all\.yaml: .*\.resources is an alias/.test(error.message),
  );
});

test('a file keeps the ends of its lines', (t) => {
  const text = 'kind: Deployment\r\nspec:\r\n  template:\r\n    spec:\r\n      containers:\r\n        - name: a\r\n';
  const project = folder(t, { 'k8s/all.yaml': text });
  const [file] = planSettings(project, { cpu: 2 }).files;
  assert.equal(file?.text, `${text}          resources:\r\n            limits:\r\n              cpu: '2'\r\n`);
});

/** The lines that differ, as `- old` and `+ new`. */
function diff(before: string, after: string): string[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  return [
    ...a.filter((line) => !b.includes(line)).map((line) => `- ${line.trim()}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `+ ${line.trim()}`),
  ];
}

test('the service of a project gets memory, CPU, concurrency and variables, and not another line changes', (t) => {
  const project = folder(t);
  cpSync(join(ROOT, 'service.yaml'), join(project, 'service.yaml'));
  const before = readFileSync(join(project, 'service.yaml'), 'utf8');
  const { files } = planSettings(project, SETTINGS);
  assert.equal(readFileSync(join(project, 'service.yaml'), 'utf8'), before, 'a plan writes nothing');
  writeFiles(files);
  assert.deepEqual(diff(before, readFileSync(join(project, 'service.yaml'), 'utf8')), [
    '- containerConcurrency: 80',
    "- cpu: '2'",
    '- memory: 2Gi',
    '+ containerConcurrency: 160',
    "+ cpu: '4'",
    '+ memory: 4Gi',
    '+ env:',
    '+ - name: INFERENCE_PROCESSES',
    "+ value: '2'",
    '+ - name: INTRA_OP_THREADS',
    "+ value: '2'",
  ]);
  const again = planSettings(project, SETTINGS).files;
  assert.deepEqual(again[0]!.changes, []);
  assert.deepEqual(describeFiles(again), [`${join(project, 'service.yaml')}: nothing to change`]);
});

test("the project's own k8s: the base gets them, variables go to its config.env, patches stay and are named", (t) => {
  const project = folder(t);
  cpSync(join(ROOT, 'k8s'), join(project, 'k8s'), { recursive: true });
  const texts = () =>
    new Map(
      globSync('k8s/**/*', { cwd: project }).flatMap((name) =>
        statSync(join(project, name)).isFile() ? [[name, readFileSync(join(project, name), 'utf8')]] : [],
      ),
    );
  const before = texts();
  const { files, overriding } = planSettings(project, SETTINGS);
  writeFiles(files);
  const after = texts();
  const changed = [...after].filter(([name, text]) => before.get(name) !== text).map(([name]) => name);
  assert.deepEqual(changed.sort(), ['k8s/base/config.env', 'k8s/base/deployment.yaml']);
  assert.deepEqual(diff(before.get('k8s/base/deployment.yaml')!, after.get('k8s/base/deployment.yaml')!), [
    '- memory: 512Mi',
    "- cpu: '1'",
    '- memory: 1Gi',
    '+ memory: 4Gi',
    "+ cpu: '4'",
    '+ memory: 4Gi',
  ]);
  assert.ok(
    after.get('k8s/base/config.env')!.endsWith('LOG_REQUESTS=failed\nINFERENCE_PROCESSES=2\nINTRA_OP_THREADS=2\n'),
  );
  assert.ok(overriding.includes(join(project, 'k8s/overlays/dev/deployment.yaml')));
});

test('every YAML file of this repository comes back as it is, but for what is set', (t) => {
  for (const name of globSync('{service.yaml,cloud-run/*.yaml,functions/cli/init/template/service.yaml}', {
    cwd: ROOT,
  })) {
    const before = readFileSync(join(ROOT, name), 'utf8');
    const project = folder(t, { 'service.yaml': before });
    const [file] = planSettings(project, {}).files;
    assert.equal(file!.text, before, name);
  }
});

const SERVICE = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: mine}
spec:
  template:
    spec:
      containers:
      - image: other # a sidecar
      - image: mine
        ports: [{containerPort: 8080}]
        env:
        - {name: MODEL_URI, value: gs://b/m} # the model
        - name: INTRA_OP_THREADS
          valueFrom: {secretKeyRef: {name: s, key: k}}
`;

test('a file of another style keeps it: lists that are not indented, flow maps, comments; the container is the one with a port', (t) => {
  const project = folder(t, { 'service.yaml': SERVICE });
  const { files } = planSettings(project, { memoryBytes: GIB / 2, cpu: 1, variables: { INTRA_OP_THREADS: '1' } });
  assert.deepEqual(diff(SERVICE, files[0]!.text), [
    '- valueFrom: {secretKeyRef: {name: s, key: k}}',
    "+ value: '1'",
    '+ resources:',
    '+ limits:',
    "+ cpu: '1'",
    '+ memory: 512Mi',
  ]);
});

test('a value that means the same stays as it is written', (t) => {
  const project = folder(t, {
    'k8s/deployment.yaml': `kind: Deployment
metadata:
  name: mine
spec:
  template:
    spec:
      containers:
        - name: mine
          resources:
            requests:
              cpu: 2500m
              memory: 1024Mi
            limits:
              cpu: 2000m
              memory: 1Gi
`,
  });
  const { files } = planSettings(project, { memoryBytes: GIB, cpu: 2 });
  assert.deepEqual(files[0]!.changes, [
    { place: 'spec.template.spec.containers.0.resources.requests.cpu', from: '2500m', to: '2' },
  ]);
  assert.deepEqual(describeFiles(files), [
    join(project, 'k8s/deployment.yaml'),
    '  spec.template.spec.containers.0.resources.requests.cpu: 2500m -> 2',
  ]);
});

test('a Deployment without config.env gets its variables in the container of its name', (t) => {
  const project = folder(t, {
    'k8s/all.yaml': `kind: Service
metadata:
  name: mine
---
kind: Deployment
metadata:
  name: mine
spec:
  template:
    spec:
      containers:
        - name: proxy
        - name: mine
`,
  });
  const { files } = planSettings(project, { variables: { INFERENCE_PROCESSES: '1' } });
  assert.match(
    files[0]!.text,
    /- name: proxy\n {8}- name: mine\n {10}env:\n {12}- name: INFERENCE_PROCESSES\n {14}value: '1'\n$/,
  );
});

test('variables of config.env are replaced in their line, and files keep their mode', (t) => {
  const project = folder(t, {
    'k8s/d.yaml':
      'kind: Deployment\nmetadata:\n  name: d\nspec:\n  template:\n    spec:\n      containers:\n        - name: d\n',
    'k8s/config.env': '# threads\nINTRA_OP_THREADS=4\nLOG_LEVEL=info',
  });
  const path = join(project, 'k8s/config.env');
  const { mode } = statSync(path);
  writeFiles(planSettings(project, { variables: { INTRA_OP_THREADS: '1', MAX_BATCH_SIZE: '8' } }).files);
  assert.equal(readFileSync(path, 'utf8'), '# threads\nINTRA_OP_THREADS=1\nLOG_LEVEL=info\nMAX_BATCH_SIZE=8');
  assert.equal(statSync(path).mode, mode);
});

test('a folder without the files of a project, and files that are not what they should be, are refused by name', (t) => {
  const refused = (files: Record<string, string>, message: RegExp) =>
    assert.throws(
      () => planSettings(folder(t, files), SETTINGS),
      (error) => error instanceof ServingError && error.code === 'INVALID_INPUT' && message.test(error.message),
    );
  refused({}, /expected a service\.yaml or a folder k8s in it: onnx-cloud-run init creates/);
  refused({ 'service.yaml': 'a: [1' }, /service\.yaml: it is not YAML: /);
  refused({ 'service.yaml': 'kind: Service\n' }, /service\.yaml: expected a service of Cloud Run/);
  refused({ 'k8s/d.yaml': 'kind: Deployment\n' }, /d\.yaml: expected a Deployment with a container/);
});

test('quantities are those of Kubernetes', () => {
  assert.deepEqual([GIB / 2, GIB, 1.5 * GIB, 3e9].map(quantityOf), ['512Mi', '1Gi', '1536Mi', '2862Mi']);
  assert.deepEqual(['500m', '2', '1.5Gi', '1G', 'x', ''].map(numberOf), [0.5, 2, 1.5 * GIB, 1e9, undefined, undefined]);
});
