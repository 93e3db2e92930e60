import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSchemas } from '../../../scripts/deploy-check/schema.ts';
import { showFinding } from '../../../scripts/deploy-check/yaml.ts';
import { cloudRun, deployment, documentsOf } from './fixture.ts';

const check = (yaml: string): string[] => checkSchemas(documentsOf(yaml)).map(showFinding);

const GATEWAY =
  '{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: { name: r }, spec: { rules: [{ backendRefs: [{ name: s, port: 80 }] }] } }';
const POLICY =
  '{ apiVersion: networking.gke.io/v1, kind: HealthCheckPolicy, metadata: { name: p }, spec: { targetRef: { group: "", kind: Service, name: s }, default: { timeoutSec: 5, checkIntervalSec: 5 } } }';
const COMPUTE_CLASS =
  '{ apiVersion: cloud.google.com/v1, kind: ComputeClass, metadata: { name: c }, spec: { priorities: [{ machineFamily: e2, spot: true }], whenUnsatisfiable: DoNotScaleUp } }';
const MONITORING =
  '{ apiVersion: monitoring.googleapis.com/v1, kind: PodMonitoring, metadata: { name: m }, spec: { selector: { matchLabels: { a: b } }, endpoints: [{ port: http, interval: 30s }] } }';
const BUILD =
  '{ steps: [{ name: node, args: [a], waitFor: ["-"] }], images: [a], options: { logging: CLOUD_LOGGING_ONLY } }';

test('objects of each API pass that have only what the API knows', () => {
  const all = [deployment(), cloudRun(), GATEWAY, POLICY, COMPUTE_CLASS, MONITORING, BUILD];
  assert.deepEqual(check(all.join('\n---\n')), []);
});

const UNKNOWN: [api: string, yaml: string, line: RegExp][] = [
  ['Kubernetes', deployment('livenesProbe: {}'), /containers\[0\]\.livenesProbe: unknown field livenesProbe$/],
  [
    'the Gateway API',
    GATEWAY.replace('port: 80', 'port: 80, wait: 1'),
    /HTTPRoute\/r spec\.rules\[0\]\.backendRefs\[0\]\.wait: unknown field wait/,
  ],
  [
    'GKE',
    POLICY.replace('timeoutSec', 'timeoutSeconds: 1, timeoutSec'),
    /spec\.default\.timeoutSeconds: unknown field timeoutSeconds/,
  ],
  [
    "GKE's compute classes",
    COMPUTE_CLASS.replace('spot:', 'sport: 1, spot:'),
    /priorities\[0\]\.sport: unknown field sport/,
  ],
  ['Cloud Run', cloudRun('', 'concurrency: 80'), /spec\.template\.spec\.concurrency: unknown field concurrency/],
  ['Cloud Build', BUILD.replace('waitFor', 'after'), /steps\[0\]\.after: unknown field after/],
];

for (const [api, yaml, line] of UNKNOWN) {
  test(`a field that ${api} does not know is found`, () => {
    const found = check(yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}

test('all unknown fields of an object are found, not the first alone', () => {
  const found = check(deployment('prot: 1, imag: a, livenessProbe: { httpGett: {}, periodSecond: 1 }'));
  assert.deepEqual(found.map((line) => /unknown field (\w+)/.exec(line)?.[1]).sort(), [
    'httpGett',
    'imag',
    'periodSecond',
    'prot',
  ]);
});

const WRONG: [title: string, yaml: string, line: RegExp][] = [
  [
    'a number where Kubernetes has a text',
    deployment('env: [{ name: A, value: 1 }]'),
    /env\[0\]\.value: Type 'number' is not assignable to type 'string'/,
  ],
  [
    'what Kubernetes asks for and is missing',
    deployment().replace('selector: { matchLabels: { app: server } }', 'paused: true'),
    /Deployment\/server spec: Property '"selector"' is missing/,
  ],
  [
    'a value that GKE does not have',
    POLICY.replace('default:', 'defaults: {}, default:').replace('timeoutSec: 5', 'timeoutSec: soon'),
    /timeoutSec: Type 'string' is not assignable to type 'number'/,
  ],
  [
    'a number where Cloud Run has a text',
    cloudRun('env: [{ name: A, value: 1 }]'),
    /env\[0\]\.value: Type 'number' is not assignable to type 'string'/,
  ],
  ['an annotation that is no text', cloudRun('', '', 'example.com/a: true'), /Type 'boolean' is not assignable/],
  [
    'a kind that has no schema here',
    '{ apiVersion: example.com/v1, kind: Thing, metadata: { name: t } }',
    /Thing\/t: example\.com\/v1 Thing: there is no schema of it here/,
  ],
  [
    'a part that is no object',
    '{ apiVersion: apps/v1, kind: DeploymentSpec, metadata: { name: t } }',
    /kind: unknown field kind|there is no schema/,
  ],
];

for (const [title, yaml, line] of WRONG) {
  test(`an object is refused for ${title}`, () => {
    const found = check(yaml);
    assert.ok(
      found.some((one) => line.test(one)),
      found.join('\n') || 'found nothing',
    );
  });
}
