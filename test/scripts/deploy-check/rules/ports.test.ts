import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPorts } from '../../../../scripts/deploy-check/rules/ports.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const SERVER = deployment('ports: [{ name: http, containerPort: 8080 }]');
const probe = (port: string): string =>
  `ports: [{ name: http, containerPort: 8080 }], livenessProbe: { httpGet: { path: /health, port: ${port} } }`;
const service = (port: string): string =>
  `${SERVER}---\n{ apiVersion: v1, kind: Service, metadata: { name: server }, spec: { selector: { app: server }, ports: [${port}] } }`;
const monitoring = (port: string): string =>
  `${SERVER}---\n{ apiVersion: monitoring.googleapis.com/v1, kind: PodMonitoring, spec: { selector: { matchLabels: { app: server } }, endpoints: [{ port: ${port} }] } }`;
const policy = (port: string): string =>
  `${SERVER}---\n{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: { podSelector: { matchLabels: { app: server } }, ingress: [{ ports: [{ port: ${port} }] }] } }`;
const health = (port: string): string =>
  `${SERVER}---\n{ apiVersion: networking.gke.io/v1, kind: HealthCheckPolicy, spec: { default: { config: { httpHealthCheck: { port: ${port} } } } } }`;
const GOOD: [title: string, yaml: string][] = [
  ["the image's port", SERVER],
  ['another, with PORT', deployment("env: [{ name: PORT, value: '9000' }], ports: [{ containerPort: 9000 }]")],
  [
    'those of requests and of administration, with ADMIN_PORT',
    deployment("env: [{ name: ADMIN_PORT, value: '9090' }], ports: [{ containerPort: 8080 }, { containerPort: 9090 }]"),
  ],
  ['a probe by number', deployment(probe('8080'))],
  ['a probe by name', deployment(probe('http'))],
  [
    "a probe of Cloud Run without a port, which is the container's",
    cloudRun('startupProbe: { httpGet: { path: /ready } }'),
  ],
  ['a Service to a port by name', service('{ port: 80, targetPort: http }')],
  ['a Service without targetPort', service('{ port: 8080 }')],
  ['a Service without a selector', service('{ port: 80 }').replace('selector: { app: server }, ', '')],
  ['a PodMonitoring', monitoring('http')],
  [
    'a PodMonitoring of the admin port',
    monitoring('admin').replace(
      'ports: [',
      "env: [{ name: ADMIN_PORT, value: '8081' }], ports: [{ name: admin, containerPort: 8081 }, ",
    ),
  ],
  [
    'a PodMonitoring without ADMIN_PORT, which is empty',
    monitoring('http').replace('ports: [', "env: [{ name: ADMIN_PORT, value: '' }], ports: ["),
  ],
  ['a NetworkPolicy', policy('8080')],
  ['a HealthCheckPolicy', health('8080')],
  ['a port of docker-compose', compose(`ports: ['127.0.0.1:\${PORT:-80}:8080']`)],
  ['a port of docker-compose, in full', compose('ports: [{ target: 8080, published: 80 }]')],
  ['any port of another image', deployment('ports: [{ containerPort: 6379 }]').replace('ml-model:1', 'redis:8')],
];

for (const [title, yaml] of GOOD) test(`ports may be ${title}`, () => assert.deepEqual(check(checkPorts, yaml), []));

const REDIS = deployment('ports: [{ name: redis, containerPort: 6379 }]').replace('ml-model:1', 'redis:8');
const toRedis = (port: string): string =>
  `${REDIS}---\n{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: { podSelector: { matchLabels: { app: server } }, egress: [{ to: [{ podSelector: { matchLabels: { app: server } } }], ports: [{ port: ${port} }] }] } }`;

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a containerPort that nobody listens on',
    deployment('ports: [{ containerPort: 80 }]'),
    /ports\[0\]\.containerPort: port 80, but the container listens on 8080/,
  ],
  [
    'a containerPort beside the PORT',
    deployment("env: [{ name: PORT, value: '9000' }], ports: [{ containerPort: 8080 }]"),
    /port 8080, but the container listens on 9000/,
  ],
  ['a probe of another port', deployment(probe('8081')), /livenessProbe\.httpGet\.port: port 8081/],
  ['a probe of a name that no port has', deployment(probe('web')), /no port of the container is named web/],
  [
    'a probe without a port',
    deployment('livenessProbe: { httpGet: { path: /health } }'),
    /livenessProbe\.httpGet\.port: the port is missing/,
  ],
  [
    'a probe of Cloud Run',
    cloudRun('startupProbe: { tcpSocket: { port: 80 } }'),
    /startupProbe\.tcpSocket\.port: port 80/,
  ],
  ['a Service to another port', service('{ port: 80 }'), /spec\.ports\[0\]\.port: port 80/],
  ['a Service to an unknown name', service('{ port: 80, targetPort: web }'), /named web/],
  [
    'a PodDisruptionBudget that selects nothing',
    `${SERVER}---\n{ apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: { name: b }, spec: { selector: { matchLabels: { app: other } } } }`,
    /PodDisruptionBudget\/b spec\.selector\.matchLabels: selects no pod/,
  ],
  [
    'a Service that selects nothing',
    service('{ port: 80, targetPort: http }').replace('selector: { app: server }', 'selector: { app: other }'),
    /Service\/server spec\.selector: selects no pod/,
  ],
  ['a PodMonitoring', monitoring('9090'), /endpoints\[0\]\.port: port 9090/],
  [
    'a way out to a port of another pod',
    toRedis('6380'),
    /egress\[0\]\.ports\[0\]\.port: port 6380, but the container listens on 6379/,
  ],
  [
    'a probe of another image, by a name it has not',
    REDIS.replace('image:', 'livenessProbe: { tcpSocket: { port: web } }, image:'),
    /named web/,
  ],
  [
    'a PodMonitoring of the port for requests, where metrics have another',
    monitoring('http').replace('ports: [', "env: [{ name: ADMIN_PORT, value: '8081' }], ports: ["),
    /endpoints\[0\]\.port: port 8080, but metrics are on ADMIN_PORT, 8081/,
  ],
  ['a NetworkPolicy', policy('80'), /ingress\[0\]\.ports\[0\]\.port: port 80/],
  ['a HealthCheckPolicy', health('80'), /httpHealthCheck\.port: port 80/],
  ['a port of docker-compose', compose("ports: ['8080:80']"), /services\.server\.ports\[0\]: port 8080:80, but/],
];

for (const [title, yaml, line] of BAD) {
  test(`ports are refused for ${title}`, () => {
    const found = check(checkPorts, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
