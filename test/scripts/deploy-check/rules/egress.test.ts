import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEgress } from '../../../../scripts/deploy-check/rules/egress.ts';
import { check, deployment } from '../fixture.ts';

const env = (name: string, value: string): string => `env: [{ name: ${name}, value: '${value}' }]`;
const BUCKET = deployment(env('MODEL_URI', 'gs://b/model'));
const policy = (spec: string): string =>
  `---\n{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: p }, spec: { podSelector: { matchLabels: { app: server } }, ${spec} } }\n`;
const NOTHING = policy('policyTypes: [Egress], egress: []');
const to = (port: string): string => policy(`policyTypes: [Egress], egress: [{ ports: [{ port: ${port} }] }]`);

const GOOD: [title: string, yaml: string][] = [
  ['a bucket without a policy', BUCKET],
  ['a bucket with a policy that allows HTTPS', BUCKET + to('443')],
  ['a bucket with a policy that allows every port', BUCKET + policy('policyTypes: [Egress], egress: [{}]')],
  ['a bucket with a second policy that allows HTTPS', BUCKET + NOTHING + to('443')],
  ['a bucket with a policy for requests alone', BUCKET + policy('policyTypes: [Ingress], ingress: []')],
  ['a bucket with a policy for other pods', BUCKET + NOTHING.replace('app: server', 'app: other')],
  ['a model of the image without any connection', deployment(env('MODEL_URI', 'models')) + NOTHING],
  [
    'a volume without any connection',
    deployment('', 'volumes: [{ name: v, persistentVolumeClaim: { claimName: a } }]') + NOTHING,
  ],
];

for (const [title, yaml] of GOOD) test(`a pod may have ${title}`, () => assert.deepEqual(check(checkEgress, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a bucket',
    BUCKET + NOTHING,
    /env\[0\]\.value: gs:\/\/b\/model calls port 443 of another server, and no NetworkPolicy of the pod allows it/,
  ],
  ['a bucket, where another port is allowed', BUCKET + to('53'), /gs:\/\/b\/model calls port 443/],
  [
    'the keys of an issuer',
    deployment(env('AUTH_ISSUER', 'https://accounts.google.com')) + NOTHING,
    /accounts\.google\.com calls/,
  ],
  ['Cloud Logging', deployment(env('LOG_TRANSPORT', 'cloud')) + NOTHING, /cloud calls port 443/],
  [
    'Cloud Storage FUSE',
    deployment('', 'volumes: [{ name: v, csi: { driver: gcsfuse.csi.storage.gke.io } }]') + NOTHING,
    /volumes\[0\]\.csi\.driver: gcsfuse/,
  ],
  [
    'an init container that fetches',
    deployment('', 'initContainers: [{ name: fetch, image: google-cloud-cli:1 }]') + NOTHING,
    /initContainers\[0\]\.image: google-cloud-cli:1 calls/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`a pod without connections is refused with ${title}`, () => {
    const found = check(checkEgress, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
