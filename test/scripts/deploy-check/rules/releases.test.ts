import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createScope } from '../../../../scripts/deploy-check/containers.ts';
import { checkReleases } from '../../../../scripts/deploy-check/rules/releases.ts';
import { readYaml, showFinding } from '../../../../scripts/deploy-check/yaml.ts';
import { IMAGE } from '../fixture.ts';

/** The findings of two releases, each of one file. */
function check(one: string, two: string): string[] {
  const documents = [one, two].flatMap((yaml, i) => readYaml(`${'ab'[i]}.yaml`, yaml).documents);
  return checkReleases(createScope(documents, IMAGE)).map(showFinding);
}

const object = (kind: string, name: string, namespace = 'n', apiVersion = 'v1'): string =>
  `{ apiVersion: ${apiVersion}, kind: ${kind}, metadata: { name: ${name}, namespace: ${namespace} } }`;
const gateway = (name: string, address: string): string =>
  `{ apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: { name: ${name} }, spec: { addresses: [{ type: NamedAddress, value: ${address} }] } }`;
const route = (name: string, hosts: string, path: string, listener = 'https'): string =>
  `{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: { name: ${name} }, spec: { parentRefs: [{ name: g, sectionName: ${listener} }]${hosts === '' ? '' : `, hostnames: [${hosts}]`}, rules: [${path}] } }`;
const path = (value: string, type = 'Exact'): string => `{ matches: [{ path: { type: ${type}, value: ${value} } }] }`;

const GOOD: [title: string, one: string, two: string][] = [
  ['names that differ', object('Service', 'a'), object('Service', 'b')],
  ['one name for two kinds', object('Service', 'a'), object('Deployment', 'a')],
  ['one name for two groups of kinds', object('Gateway', 'a', 'n', 'a/v1'), object('Gateway', 'a', 'n', 'b/v1')],
  ['one name in two namespaces', object('Service', 'a'), object('Service', 'a', 'm')],
  ['a namespace that both name', object('Namespace', 'n'), object('Namespace', 'n')],
  ['two addresses', gateway('a', 'one'), gateway('b', 'two')],
  ['two host names', route('a', 'a.example', path('/predict')), route('b', 'b.example', path('/predict'))],
  ['a host name, and all others', route('a', '', path('/predict')), route('b', 'b.example', path('/predict'))],
  ['two paths', route('a', '', path('/predict')), route('b', '', path('/models'))],
  ['two listeners', route('a', '', path('/predict')), route('b', '', path('/predict'), 'http')],
  ['a route that repeats itself', route('a', '', `${path('/predict')}, ${path('/predict')}`), object('Service', 'b')],
];

for (const [title, one, two] of GOOD)
  test(`two releases may have ${title}`, () => assert.deepEqual(check(one, two), []));

const BAD: [title: string, one: string, two: string, line: RegExp][] = [
  [
    'one name',
    object('Service', 'a'),
    object('Service', 'a'),
    /^b\.yaml:1: Service\/a: is also in a\.yaml: the release that is applied last replaces it$/,
  ],
  [
    'one name in two versions of an API',
    object('PriorityClass', 'a', 'n', 'scheduling.k8s.io/v1'),
    object('PriorityClass', 'a', 'n', 'scheduling.k8s.io/v1beta1'),
    /is also in a\.yaml/,
  ],
  [
    'one address',
    gateway('a', 'one'),
    gateway('b', 'one'),
    /Gateway\/b spec\.addresses\[0\]\.value: is also the address of Gateway\/a of a\.yaml/,
  ],
  [
    'the same requests',
    route('a', '', path('/predict')),
    route('b', '', path('/predict')),
    /HTTPRoute\/b spec\.hostnames: matches the same requests as HTTPRoute\/a of a\.yaml: set other hostnames/,
  ],
  [
    'the same requests of one host name',
    route('a', 'a.example, b.example', path('/predict')),
    route('b', 'b.example', path('/predict')),
    /matches the same requests/,
  ],
  ['all requests', route('a', '', '{}'), route('b', '', '{}'), /matches the same requests/],
];

for (const [title, one, two, line] of BAD) {
  test(`two releases are refused for ${title}`, () => {
    const found = check(one, two);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
