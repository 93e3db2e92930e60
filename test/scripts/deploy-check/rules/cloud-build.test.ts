import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showFinding } from '../../../../scripts/deploy-check/finding.ts';
import { checkCloudBuild } from '../../../../scripts/deploy-check/rules/cloud-build.ts';
import { createScope } from '../../../../scripts/deploy-check/scope.ts';
import { readYaml } from '../../../../scripts/deploy-check/yaml-file.ts';
import { cloudRun, IMAGE } from '../fixture.ts';

function check(build: string): string[] {
  const documents = [readYaml('cloudbuild.yaml', build), readYaml('service.yaml', cloudRun())];
  const scope = createScope(
    documents.flatMap((one) => one.documents),
    IMAGE,
    'files',
  );
  return checkCloudBuild(scope).map(showFinding);
}

const build = (substitutions: string, ...args: string[]): string =>
  `{ substitutions: { ${substitutions} }, steps: [{ name: a, args: [${args.join(', ')}] }] }`;

test("a build may deploy the service that its file describes, and ask the server's port", () => {
  assert.deepEqual(check(build('_SERVICE: server, _SERVICE_FILE: service.yaml', "'http://candidate:8080'")), []);
});

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['a port where nothing listens', build('', "'http://candidate:80/ready'"), /port 80, but the server listens on 8080/],
  ['a file that is not there', build('_SERVICE_FILE: services.yaml', '$_SERVICE_FILE'), /there is no services\.yaml/],
  [
    'a service that the file does not describe',
    build('_SERVICE: model, _SERVICE_FILE: service.yaml', '$_SERVICE', '$_SERVICE_FILE'),
    /model, but service\.yaml describes server/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`a build is refused for ${title}`, () => {
    const found = check(yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
