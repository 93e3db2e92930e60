import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createScope } from '../../../../scripts/deploy-check/containers.ts';
import { checkReferences } from '../../../../scripts/deploy-check/rules/references.ts';
import { showFinding } from '../../../../scripts/deploy-check/yaml.ts';
import { check, cloudRun, deployment, documentsOf, IMAGE } from '../fixture.ts';

const object = (kind: string, more = ''): string =>
  `---\n{ apiVersion: v1, kind: ${kind}, metadata: { name: a }${more === '' ? '' : `, ${more}`} }\n`;
const policy = `${object('Service')}---\n{ apiVersion: networking.gke.io/v1, kind: HealthCheckPolicy, spec: { targetRef: { kind: Service, name: a } } }\n`;
const route = `${object('Gateway', 'spec: { listeners: [{ name: https }] }')}---\n{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, spec: { parentRefs: [{ name: a, sectionName: https }] } }\n`;
const autoscaler = (name: string): string =>
  `${deployment()}---\n{ apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: { scaleTargetRef: { kind: Deployment, name: ${name} } } }\n`;
const backend = (name: string, port: string): string =>
  `${object('Service', 'spec: { ports: [{ port: 80 }] }')}---\n{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, spec: { rules: [{ backendRefs: [{ name: ${name}, port: ${port} }] }] } }\n`;
const map = deployment(
  'envFrom: [{ configMapRef: { name: a } }], env: [{ name: A, valueFrom: { configMapKeyRef: { name: a, key: b } } }]',
  'serviceAccountName: a, volumes: [{ name: v, configMap: { name: a } }]',
);

test('a build may name what is in it, what is optional, and secrets', () => {
  const optional = deployment('envFrom: [{ configMapRef: { name: b, optional: true } }, { secretRef: { name: b } }]');
  const whole = map + object('ConfigMap') + object('ServiceAccount');
  for (const yaml of [
    optional,
    policy,
    route,
    whole,
    autoscaler('server'),
    backend('a', '80'),
    cloudRun('', 'serviceAccountName: a'),
  ])
    assert.deepEqual(check(checkReferences, yaml), []);
});

test('a build may use the Gateway of another build, and no other of its objects', () => {
  const others = documentsOf(`${object('Gateway', 'spec: { listeners: [{ name: https }] }')}${object('Service')}`);
  const used = documentsOf(
    '{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, spec: { parentRefs: [{ name: a, sectionName: http }], rules: [{ backendRefs: [{ name: a }] }] } }',
  );
  const found = checkReferences(createScope(used, IMAGE, { others })).map(showFinding);
  assert.equal(found.length, 2, found.join('\n'));
  assert.match(found[0]!, /Gateway\/a has no name http among its listeners: https/);
  assert.match(found[1]!, /there is no Service a/);
});

const BAD: [title: string, yaml: string, lines: RegExp[]][] = [
  [
    'ConfigMaps and accounts of pods',
    map,
    [
      /serviceAccountName: there is no ServiceAccount a/,
      /envFrom\[0\]\.configMapRef\.name: there is no ConfigMap a/,
      /configMapKeyRef\.name: there is no ConfigMap a/,
      /volumes\[0\]\.configMap\.name: there is no ConfigMap a/,
    ],
  ],
  [
    'what a policy is for',
    policy.replace('Service, name: a', 'Service, name: b'),
    [/targetRef\.name: there is no Service b/],
  ],
  ['what an autoscaler scales', autoscaler('other'), [/scaleTargetRef\.name: there is no Deployment other/]],
  ['the Service of a route', backend('b', '80'), [/backendRefs\[0\]\.name: there is no Service b/]],
  [
    'the port of a route',
    backend('a', '8080'),
    [/backendRefs\[0\]\.port: Service\/a has no port 8080 among its ports: 80/],
  ],
  [
    'the gateway of a route',
    route.replace('[{ name: a,', '[{ name: b,'),
    [/parentRefs\[0\]\.name: there is no Gateway b/],
  ],
  [
    'the listener of a gateway',
    route.replace('sectionName: https', 'sectionName: http'),
    [/Gateway\/a has no name http among its listeners: https/],
  ],
];

for (const [title, yaml, lines] of BAD) {
  test(`a build is refused where these are not in it: ${title}`, () => {
    const found = check(checkReferences, yaml);
    assert.equal(found.length, lines.length, found.join('\n'));
    for (const [i, line] of lines.entries()) assert.match(found[i]!, line);
  });
}
