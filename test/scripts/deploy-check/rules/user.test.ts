import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkUser } from '../../../../scripts/deploy-check/rules/user.ts';
import { check, compose, deployment } from '../fixture.ts';

const OWN = 'securityContext: { runAsUser: 65532, runAsGroup: 65532 }';

test('our image may be run as its own user, or as what the image says', () => {
  assert.deepEqual(
    check(checkUser, deployment(OWN, 'securityContext: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 }')),
    [],
  );
  assert.deepEqual(check(checkUser, deployment()), []);
  assert.deepEqual(check(checkUser, compose(`user: '\${ML_USER:-65532:65532}'`)), []);
});

test('pods of other images have users of their own', () => {
  const redis = deployment('securityContext: { runAsUser: 999 }', 'securityContext: { runAsUser: 999 }');
  assert.deepEqual(check(checkUser, redis.replace('ml-model:1', 'redis:8')), []);
});

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    "the pod's user",
    deployment('', 'securityContext: { runAsUser: 1000 }'),
    /spec\.securityContext\.runAsUser: runAsUser 1000, but the image has 65532/,
  ],
  ["the pod's group", deployment('', 'securityContext: { runAsGroup: 0 }'), /runAsGroup 0/],
  ['the group of volumes', deployment('', 'securityContext: { fsGroup: 1000 }'), /fsGroup 1000/],
  [
    "the container's user",
    deployment('securityContext: { runAsUser: 0 }'),
    /containers\[0\]\.securityContext\.runAsUser: runAsUser 0/,
  ],
  [
    "docker-compose's user",
    compose('user: nonroot'),
    /services\.server\.user: user nonroot, but the image runs as 65532:65532/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`a user that is not the image's is refused: ${title}`, () => {
    const found = check(checkUser, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
