import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCloudRun } from '../../../../scripts/deploy-check/rules/cloud-run.ts';
import { check, cloudRun } from '../fixture.ts';

const TIMEOUT = (ms: number): string => `env: [{ name: REQUEST_TIMEOUT_MS, value: '${ms}' }]`;

test('a revision may leave the server the time it takes, and have containers beside it', () => {
  for (const yaml of [
    cloudRun(),
    cloudRun('', 'timeoutSeconds: 60'),
    cloudRun(TIMEOUT(300_000)),
    cloudRun().replace('containers: [', 'containers: [{ name: collector, image: other:1 }, '),
  ])
    assert.deepEqual(check(checkCloudRun, yaml), []);
});

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'less time than the server takes',
    cloudRun('', 'timeoutSeconds: 30'),
    /timeoutSeconds: 30 s, but the server's own limit for a request is 60000 ms/,
  ],
  ['less time by default than the server takes', cloudRun(TIMEOUT(300_001)), /300 s, but the server.* 300001 ms/],
  [
    'a file of Cloud Build that does not exist',
    '{ substitutions: { _SERVICE_FILE: services.yaml } }',
    /_SERVICE_FILE: there is no services\.yaml/,
  ],
  [
    'another container that is sent the requests',
    cloudRun().replace('containers: [', 'containers: [{ image: other:1, ports: [{ containerPort: 8080 }] }, '),
    /containers\[0\]: is sent the requests, but does not run our image/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`a revision is refused for ${title}`, () => {
    const found = check(checkCloudRun, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
