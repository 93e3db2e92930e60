import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkReferences } from '../../../../scripts/deploy-check/rules/references.ts';
import { check, deployment } from '../fixture.ts';

const object = (kind: string, more = ''): string =>
  `---\n{ apiVersion: v1, kind: ${kind}, metadata: { name: a }${more === '' ? '' : `, ${more}`} }\n`;
const policy = `${object('Service')}---\n{ apiVersion: networking.gke.io/v1, kind: HealthCheckPolicy, spec: { targetRef: { kind: Service, name: a } } }\n`;
const route = `${object('Gateway', 'spec: { listeners: [{ name: https }] }')}---\n{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, spec: { parentRefs: [{ name: a, sectionName: https }] } }\n`;
const map = deployment(
  'envFrom: [{ configMapRef: { name: a } }], env: [{ name: A, valueFrom: { configMapKeyRef: { name: a, key: b } } }]',
  'serviceAccountName: a, volumes: [{ name: v, configMap: { name: a } }]',
);

test('a build may name what is in it, what is optional, and secrets', () => {
  const optional = deployment('envFrom: [{ configMapRef: { name: b, optional: true } }, { secretRef: { name: b } }]');
  for (const yaml of [optional, policy, route, map + object('ConfigMap') + object('ServiceAccount')])
    assert.deepEqual(check(checkReferences, yaml), []);
});

test('what belongs to the whole cluster has no namespace', () => {
  const yaml = object('ComputeClass').replace('name: a', 'name: a, namespace: b');
  assert.match(
    check(checkReferences, yaml).join('\n'),
    /ComputeClass\/a metadata\.namespace: it belongs to the whole cluster/,
  );
  assert.deepEqual(check(checkReferences, object('ServiceAccount').replace('name: a', 'name: a, namespace: b')), []);
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
  [
    'the gateway of a route',
    route.replace('[{ name: a,', '[{ name: b,'),
    [/parentRefs\[0\]\.name: there is no Gateway b/],
  ],
  [
    'the listener of a gateway',
    route.replace('sectionName: https', 'sectionName: http'),
    [/Gateway\/a has no listener http/],
  ],
];

for (const [title, yaml, lines] of BAD) {
  test(`a build is refused where these are not in it: ${title}`, () => {
    const found = check(checkReferences, yaml);
    assert.equal(found.length, lines.length, found.join('\n'));
    for (const [i, line] of lines.entries()) assert.match(found[i]!, line);
  });
}

test('files as they are written may name what only a build has', () => {
  assert.deepEqual(check(checkReferences, map, 'files'), []);
});
