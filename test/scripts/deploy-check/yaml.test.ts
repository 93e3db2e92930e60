import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readYaml, showFinding } from '../../../scripts/deploy-check/yaml.ts';

const YAML = `# two documents
kind: A
metadata: { name: one }
list:
  - first: 1
  - second:
      deep: 2
---
kind: B
`;

test('a finding in a document has its line, its object and its place', () => {
  const [a, b] = readYaml('k8s/a.yaml', YAML).documents;
  const at = (...path: (string | number)[]): string => showFinding(a!.at(...path).finding('wrong'));
  assert.equal(at('list', 1, 'second', 'deep'), 'k8s/a.yaml:7: A/one list[1].second.deep: wrong');
  assert.equal(at('list', 0), 'k8s/a.yaml:5: A/one list[0]: wrong');
  assert.equal(showFinding(b!.at('kind').finding('wrong')), 'k8s/a.yaml:9: B kind: wrong');
});

test('a finding of a missing value has the line of its parent', () => {
  const [a] = readYaml('a.yaml', YAML).documents;
  assert.equal(
    showFinding(a!.at('list', 1, 'third', 'deep').finding('missing')),
    'a.yaml:6: A/one list[1].third.deep: missing',
  );
});

test('a finding in a build of kustomize has no line', () => {
  const [a] = readYaml('k8s/base', YAML, true).documents;
  assert.equal(showFinding(a!.at('list', 0).finding('wrong')), 'k8s/base: A/one list[0]: wrong');
});

test('what is no YAML, and a key that is there twice, are findings with their lines', () => {
  assert.match(readYaml('a.yaml', 'a: 1\nb: [').findings.map(showFinding).join('\n'), /^a\.yaml:2: not YAML/);
  assert.match(
    readYaml('a.yaml', 'a: 1\na: 2').findings.map(showFinding).join('\n'),
    /^a\.yaml:\d: not YAML: Map keys must be unique/,
  );
});
