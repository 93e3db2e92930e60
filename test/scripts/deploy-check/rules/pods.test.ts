import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPods } from '../../../../scripts/deploy-check/rules/pods.ts';
import { check, cloudRun as cloudRunWith, deployment as deploymentWith } from '../fixture.ts';

const LIMITS = 'resources: { limits: { memory: 1Gi } }';
const withLimits = (container: string): string => (container === '' ? LIMITS : `${LIMITS}, ${container}`);
const deployment = (container = '', pod = ''): string => deploymentWith(withLimits(container), pod);
const cloudRun = (container = ''): string => cloudRunWith(withLimits(container));
const USER = 'securityContext: { runAsUser: 65532, runAsGroup: 65532 }';
const MOUNT = (path: string): string => `volumeMounts: [{ name: v, mountPath: ${path} }]`;
const VOLUME = 'volumes: [{ name: v, emptyDir: {} }]';
const READ_ONLY = 'securityContext: { readOnlyRootFilesystem: true }';
const URI = (uri: string): string => `env: [{ name: MODEL_URI, value: '${uri}' }]`;

const GOOD: [title: string, yaml: string][] = [
  ['a read-only root with a volume at /tmp', deployment(`${READ_ONLY}, ${MOUNT('/tmp')}`, VOLUME)],
  ["models of the image's own folder", deployment(URI('models'))],
  ['models of a mounted folder', deployment(`${URI('/models/fraud')}, ${MOUNT('/models')}`, VOLUME)],
  ['models of a bucket', cloudRun(URI('gs://b/m'))],
  ['models over those of the image', deployment(MOUNT('/app/models'), VOLUME)],
  ["the image's user", deployment(USER, 'securityContext: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 }')],
  [
    'another image with a user of its own, and no memory limit',
    deploymentWith('securityContext: { runAsUser: 999 }', 'securityContext: { runAsUser: 999 }').replace(
      'ml-model:1',
      'redis:8',
    ),
  ],
];

for (const [title, yaml] of GOOD) test(`pods may have ${title}`, () => assert.deepEqual(check(checkPods, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a read-only root without a folder to write to',
    deployment(READ_ONLY),
    /readOnlyRootFilesystem: the root is read-only and nothing is mounted at \/tmp/,
  ],
  [
    "a volume over the server's programs",
    deployment(MOUNT('/app'), VOLUME),
    /mounted at \/app, over what the image runs/,
  ],
  [
    'models where nothing is mounted',
    deployment(`${URI('/models')}, ${MOUNT('/model')}`, VOLUME),
    /env\[0\]: MODEL_URI=\/models, but no volume is mounted there/,
  ],
  ['models as a URL where nothing is mounted', cloudRun(URI('file:///models')), /MODEL_URI=file:\/\/\/models/],
  ['no memory limit', deploymentWith('resources: { limits: { cpu: 1 } }'), /resources\.limits: no memory limit/],
  ['no memory limit on Cloud Run', cloudRunWith(), /no memory limit/],
  [
    'another user of the pod',
    deployment('', 'securityContext: { runAsUser: 1000 }'),
    /spec\.securityContext\.runAsUser: runAsUser 1000, but the image has 65532/,
  ],
  ['another group of the pod', deployment('', 'securityContext: { runAsGroup: 0 }'), /runAsGroup 0/],
  ['another group of volumes', deployment('', 'securityContext: { fsGroup: 1000 }'), /fsGroup 1000/],
  [
    'another user of the container',
    deployment('securityContext: { runAsUser: 0 }'),
    /containers\[0\]\.securityContext\.runAsUser: runAsUser 0/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`pods are refused for ${title}`, () => {
    const found = check(checkPods, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
