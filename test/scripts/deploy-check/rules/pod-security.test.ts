import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPodSecurity } from '../../../../scripts/deploy-check/rules/pod-security.ts';
import { check, deployment } from '../fixture.ts';

const POD = 'securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }';
const context = (more = ''): string =>
  `securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] }${more === '' ? '' : `, ${more}`} }`;
const pod = (more: string): string => deployment(context(), `${POD}, ${more}`);

test('a pod of the restricted standard is let in, its options on the pod or on each container', () => {
  assert.deepEqual(check(checkPodSecurity, deployment(context(), `${POD}, volumes: [{ name: t, emptyDir: {} }]`)), []);
  assert.deepEqual(
    check(checkPodSecurity, deployment(context('runAsNonRoot: true, seccompProfile: { type: Localhost }'))),
    [],
  );
});

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['the network of its node', pod('hostNetwork: true'), /spec\.hostNetwork: expected false/],
  [
    'folders of its node',
    pod('volumes: [{ name: h, hostPath: { path: / } }]'),
    /volumes\[0\]\.hostPath: volumes of type hostPath/,
  ],
  [
    'a port of its node',
    deployment(`${context()}, ports: [{ containerPort: 8080, hostPort: 80 }]`, POD),
    /ports\[0\]\.hostPort/,
  ],
  [
    'more rights than it began with',
    deployment('securityContext: { capabilities: { drop: [ALL] } }', POD),
    /allowPrivilegeEscalation: expected false/,
  ],
  [
    'capabilities',
    deployment('securityContext: { allowPrivilegeEscalation: false }', POD),
    /capabilities\.drop: expected \[ALL\]/,
  ],
  [
    'capabilities of its own',
    deployment(context().replace('[ALL]', '[ALL], add: [SYS_ADMIN]'), POD),
    /capability SYS_ADMIN/,
  ],
  ['privileges', deployment(context('privileged: true'), POD), /privileged: expected false/],
  [
    'a user that may be root',
    deployment(context(), 'securityContext: { seccompProfile: { type: RuntimeDefault } }'),
    /runAsNonRoot: expected true/,
  ],
  ['root as its user', deployment(context('runAsUser: 0'), POD), /runAsUser: expected a user that is not root/],
  [
    'no seccomp profile',
    deployment(context(), 'securityContext: { runAsNonRoot: true }'),
    /seccompProfile: expected type RuntimeDefault/,
  ],
  ['no AppArmor', deployment(context('appArmorProfile: { type: Unconfined }'), POD), /appArmorProfile/],
  [
    'another init container',
    pod('initContainers: [{ name: i, securityContext: { allowPrivilegeEscalation: false } }]'),
    /initContainers\[0\]\.securityContext\.capabilities/,
  ],
  [
    'kernel parameters',
    deployment(context(), POD.replace('{ run', '{ sysctls: [{ name: a }], run')),
    /sysctls: expected none/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`a pod is refused that has ${title}`, () => {
    const found = check(checkPodSecurity, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
