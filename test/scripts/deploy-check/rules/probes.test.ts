import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkProbes } from '../../../../scripts/deploy-check/rules/probes.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const asks = (probe: string, path: string): string => `${probe}: { httpGet: { path: ${path}, port: 8080 } }`;
const health = (path: string): string =>
  `{ apiVersion: networking.gke.io/v1, kind: HealthCheckPolicy, spec: { default: { config: { httpHealthCheck: { requestPath: ${path} } } } } }`;
const monitoring = (path: string): string =>
  `{ apiVersion: monitoring.googleapis.com/v1, kind: PodMonitoring, spec: { endpoints: [{ path: ${path} }] } }`;

const route = (type: string, value: string): string =>
  `{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, spec: { rules: [{ matches: [{ path: { type: ${type}, value: ${value} } }], backendRefs: [{ name: s }] }] } }`;

const GOOD: [title: string, yaml: string][] = [
  [
    '/ready and /health',
    deployment(
      `${asks('readinessProbe', '/ready')}, ${asks('livenessProbe', '/health')}, ${asks('startupProbe', '/ready')}`,
    ),
  ],
  ['those of Cloud Run', cloudRun(`${asks('startupProbe', '/ready')}, ${asks('livenessProbe', '/health')}`)],
  ['a health check of a load balancer', health('/ready')],
  ['a route that a load balancer lets through', route('Exact', '/predict')],
  ['routes below a prefix', route('PathPrefix', '/models/')],
  ['metrics', monitoring('/metrics')],
  [
    "the image's health check in docker-compose",
    compose('healthcheck: { test: [CMD, /nodejs/bin/node, dist/health-check.js] }'),
  ],
  ['none in docker-compose', compose('healthcheck: { test: [NONE] }')],
  ['a wait by the kubelet', deployment('lifecycle: { preStop: { sleep: { seconds: 5 } } }')],
];

for (const [title, yaml] of GOOD) test(`probes may ask ${title}`, () => assert.deepEqual(check(checkProbes, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a path that is no route',
    deployment(asks('readinessProbe', '/readyz')),
    /readinessProbe\.httpGet\.path: \/readyz is no route of the server, expected \/ready$/,
  ],
  ['a path that Google keeps for itself', cloudRun(asks('livenessProbe', '/healthz')), /\/healthz is no route/],
  [
    'a liveness probe that kills what loads',
    deployment(asks('livenessProbe', '/ready')),
    /livenessProbe.*: requests \/ready, expected \/health/,
  ],
  [
    'a readiness probe that is content too soon',
    deployment(asks('readinessProbe', '/health')),
    /requests \/health, expected \/ready/,
  ],
  ['no path', deployment('startupProbe: { httpGet: { port: 8080 } }'), /startupProbe\.httpGet: has no path/],
  ['a load balancer that asks for /', health('/'), /requestPath: \/ is no route/],
  [
    'a load balancer that lets through what is not there',
    route('Exact', '/predictions'),
    /rules\[0\]\.matches\[0\]\.path\.value: \/predictions is no route/,
  ],
  ['a prefix of nothing', route('PathPrefix', '/model'), /\/model is no route/],
  ['metrics elsewhere', monitoring('/health'), /endpoints\[0\]\.path: requests \/health, expected \/metrics/],
  [
    'a program that is not in the image',
    deployment('livenessProbe: { exec: { command: [curl, localhost] } }'),
    /runs curl, and the image has \/nodejs\/bin\/node alone/,
  ],
  [
    'a shell before the stop',
    deployment('lifecycle: { preStop: { exec: { command: [sleep, "5"] } } }'),
    /preStop\.exec\.command: runs sleep/,
  ],
  ['a shell in docker-compose', compose('healthcheck: { test: curl localhost }'), /healthcheck\.test: expected \[CMD/],
];

for (const [title, yaml, line] of BAD) {
  test(`probes are refused for ${title}`, () => {
    const found = check(checkProbes, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
