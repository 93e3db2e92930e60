import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkProbes } from '../../../../scripts/deploy-check/rules/probes.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const asks = (probe: string, path: string): string => `${probe}: { httpGet: { path: ${path}, port: 8080 } }`;
const startup = (period: string, threshold: string): string =>
  `startupProbe: { httpGet: { path: /ready, port: 8080 }, periodSeconds: ${period}, failureThreshold: ${threshold} }`;
const health = (path: string): string =>
  `{ apiVersion: networking.gke.io/v1, kind: HealthCheckPolicy, spec: { default: { config: { httpHealthCheck: { requestPath: ${path} } } } } }`;
const monitoring = (path: string): string =>
  `{ apiVersion: monitoring.googleapis.com/v1, kind: PodMonitoring, spec: { endpoints: [{ path: ${path} }] } }`;

const GOOD: [title: string, yaml: string][] = [
  [
    '/ready and /health',
    deployment(`${asks('readinessProbe', '/ready')}, ${asks('livenessProbe', '/health')}, ${startup('1', '900')}`),
  ],
  ['those of Cloud Run', cloudRun(`${asks('startupProbe', '/ready')}, ${asks('livenessProbe', '/health')}`)],
  ['a health check of a load balancer', health('/ready')],
  ['metrics', monitoring('/metrics')],
  [
    '/ready for less long, with a shorter LOAD_TIMEOUT_MS',
    deployment(`env: [{ name: LOAD_TIMEOUT_MS, value: '60000' }], ${startup('1', '60')}`),
  ],
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
  [
    'a startup probe that ends a load before the server does',
    deployment(startup('5', '60')),
    /startupProbe: gives up after 300 s, but a model may load for LOAD_TIMEOUT_MS, 600000 ms/,
  ],
  [
    'a startup probe of 30 s, as by default',
    deployment(asks('startupProbe', '/ready')),
    /startupProbe: gives up after 30 s/,
  ],
  ['no path', deployment('startupProbe: { httpGet: { port: 8080 } }'), /startupProbe\.httpGet: has no path/],
  ['a load balancer that asks for /', health('/'), /requestPath: requests \/, expected \/ready/],
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
