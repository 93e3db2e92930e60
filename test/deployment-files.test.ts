import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { readImage } from '../scripts/deploy-check/image.ts';

const ROOT = join(import.meta.dirname, '..');
// biome-ignore lint/suspicious/noExplicitAny: YAML of many shapes.
const read = (file: string): any => parse(readFileSync(join(ROOT, file), 'utf8'));

interface Probe {
  readonly httpGet: { readonly path: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

const bound = ({ periodSeconds, failureThreshold }: Probe): number => periodSeconds * failureThreshold;

test('a roll-out on Kubernetes takes no pod away before another is ready, and endpoints have 5 s to forget it', () => {
  const { spec } = read('k8s/base/deployment.yaml');
  assert.equal(spec.strategy.rollingUpdate.maxUnavailable, 0);
  assert.equal(spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds, 5);
});

test('every image listens on all addresses: nothing outside of a container reaches its loopback', () => {
  const { image } = readImage(ROOT);
  assert.ok(image.stages.length > 1);
  for (const { name, env } of image.stages)
    assert.deepEqual(
      env.find(([variable]) => variable === 'HOST'),
      ['HOST', '*'],
      name,
    );
});

test('a pod has five minutes for its model before it is started again, and a minute of silence', () => {
  const [container] = read('k8s/base/deployment.yaml').spec.template.spec.containers;
  assert.ok(bound(container.startupProbe) >= 300);
  assert.ok(bound(container.livenessProbe) >= 60);
  assert.deepEqual(
    ['startupProbe', 'readinessProbe', 'livenessProbe'].map((probe) => container[probe].httpGet.path),
    ['/ready', '/ready', '/health'],
  );
});

test('the autoscaler keeps 2 to 10 pods at 70 % of their CPU', () => {
  const { minReplicas, maxReplicas, metrics } = read('k8s/base/horizontal-pod-autoscaler.yaml').spec;
  assert.deepEqual([minReplicas, maxReplicas], [2, 10]);
  assert.deepEqual(metrics[0].resource, { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } });
});

test('service.yaml is the service of docs/deploy/cloud-run.md: ml-model, 0 to 10 instances of 2 CPUs and 2 GiB', () => {
  const { metadata, spec } = read('service.yaml');
  const { annotations } = spec.template.metadata;
  assert.equal(metadata.name, 'ml-model');
  assert.deepEqual(
    [annotations['autoscaling.knative.dev/minScale'], annotations['autoscaling.knative.dev/maxScale']],
    ['0', '10'],
  );
  assert.equal(annotations['run.googleapis.com/execution-environment'], 'gen2');
  assert.equal(annotations['run.googleapis.com/startup-cpu-boost'], 'true');
  assert.deepEqual(spec.template.spec.containers[0].resources.limits, { cpu: '2', memory: '2Gi' });
});

for (const file of globSync(['service.yaml', 'cloud-run/*.yaml'], { cwd: ROOT }).sort()) {
  test(`${file} gives a model all the time that Cloud Run allows, and lets nobody in without leave`, () => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const [container] = parse(text).spec.template.spec.containers;
    assert.equal(bound(container.startupProbe), 240);
    assert.equal(container.startupProbe.httpGet.path, '/ready');
    assert.equal(container.livenessProbe.httpGet.path, '/health');
    assert.doesNotMatch(text, /allUsers|invoker-iam-disabled/);
  });
}

/** The values in which a variant is not service.yaml, besides its account and its label, by their path in the template. */
const DIFFERENCES: Readonly<Record<string, readonly string[]>> = {
  'always-on': ['cpu-throttling', 'env.MODEL_URI', 'env.MODEL_REFRESH_SECONDS'],
  bucket: ['env.MODEL_URI'],
  gpu: [
    'maxScale',
    'cpu-throttling',
    'gpu-zonal-redundancy-disabled',
    'nodeSelector.run.googleapis.com/accelerator',
    'image',
    'env.EXECUTION_PROVIDERS',
    'env.INFERENCE_PROCESSES',
    'resources.limits.cpu',
    'resources.limits.memory',
    'resources.limits.nvidia.com/gpu',
  ],
  mounted: ['env.MODEL_URI', 'volumeMounts', 'volumes'],
  prometheus: ['cpu-throttling', 'container-dependencies', 'name'],
  redis: ['network-interfaces', 'vpc-access-egress', 'env.MODEL_URI', 'env.REDIS_URL'],
};

/** The values of a service by their paths: those of its revision, and of the container that serves. */
// biome-ignore lint/suspicious/noExplicitAny: YAML of many shapes.
function valuesOf({ metadata, spec: { template } }: any): Map<string, string> {
  const { containers, ...spec } = template.spec;
  // biome-ignore lint/suspicious/noExplicitAny: YAML of many shapes.
  const { env = [], ...container } = containers.find(({ ports }: any) => ports !== undefined);
  const variables = env.map(({ name, ...value }: { name: string }) => [name, value]);
  const values = new Map<string, string>();
  const add = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) values.set(path, JSON.stringify(value));
    else for (const [name, inner] of Object.entries(value)) add(inner, path === '' ? name : `${path}.${name}`);
  };
  const annotations = Object.entries({
    ...template.metadata.annotations,
    ingress: metadata.annotations['run.googleapis.com/ingress'],
  });
  for (const [name, value] of annotations) values.set(name.replace(/^.*\//, ''), JSON.stringify(value));
  for (const [name, value] of variables) values.set(`env.${name}`, JSON.stringify(value));
  add({ ...spec, ...container }, '');
  return values;
}

for (const [name, expected] of Object.entries(DIFFERENCES)) {
  test(`cloud-run/${name}.yaml has an account of its own, and is service.yaml in all but what it is for`, () => {
    const variant = valuesOf(read(`cloud-run/${name}.yaml`));
    const base = valuesOf(read('service.yaml'));
    assert.equal(variant.get('serviceAccountName'), '"ml-model@PROJECT_ID.iam.gserviceaccount.com"');
    variant.delete('serviceAccountName');
    const paths = new Set([...variant.keys(), ...base.keys()]);
    const different = [...paths].filter((path) => variant.get(path) !== base.get(path));
    assert.deepEqual(different.sort(), expected.toSorted());
  });
}

for (const file of globSync(['service.yaml', 'cloud-run/*.yaml'], { cwd: ROOT }).sort()) {
  test(`${file} names its ingress, and has the same labels on the service and on its revisions`, () => {
    const { metadata, spec } = read(file);
    assert.equal(metadata.annotations['run.googleapis.com/ingress'], 'all');
    const variant = file === 'service.yaml' ? 'image' : file.replace(/^.*\/|\.yaml$/g, '');
    assert.deepEqual(metadata.labels, { app: 'ml-model', variant });
    assert.deepEqual(spec.template.metadata.labels, metadata.labels);
  });
}
