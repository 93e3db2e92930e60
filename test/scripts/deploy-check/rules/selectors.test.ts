import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSelectors } from '../../../../scripts/deploy-check/rules/selectors.ts';
import { check } from '../fixture.ts';

const RELEASE = 'app.kubernetes.io/instance';
/** The selectors of a Deployment and of its spread, as JSON's inside. */
interface Selectors {
  readonly selector?: string;
  readonly spread?: string;
}

/** A Deployment of the release `name`, whose pods have the labels `app: server` and that of the release. */
function workload(name: string, selectors: Selectors = {}): string {
  const { selector = `app: server, ${RELEASE}: ${name}` } = selectors;
  const { spread = selector } = selectors;
  const constraint = `{ maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { ${spread} } } }`;
  return `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, labels: { ${RELEASE}: ${name} } }
spec:
  selector: { matchLabels: { ${selector} } }
  template:
    metadata: { labels: { app: server, ${RELEASE}: ${name} } }
    spec: { topologySpreadConstraints: [${constraint}], containers: [{ name: a, image: ml-model:1 }] }
`;
}
const object = (kind: string, spec: string): string =>
  `---\n{ apiVersion: v1, kind: ${kind}, metadata: { name: x, labels: { ${RELEASE}: a } }, spec: { ${spec} } }\n`;
const TWO = `${workload('a')}---${workload('b')}`;
const BOTH = '{ app: server }';
const OWN = `{ app: server, ${RELEASE}: a }`;

const GOOD: [title: string, yaml: string][] = [
  ['of two workloads that differ by their release', TWO],
  ['of one release alone, without its label', workload('a', { selector: 'app: server' })],
  ['of a Service', TWO + object('Service', `selector: ${OWN}`)],
  ['of a PodDisruptionBudget', TWO + object('PodDisruptionBudget', `selector: { matchLabels: ${OWN} }`)],
  ['of a PodMonitoring', TWO + object('PodMonitoring', `selector: { matchLabels: ${OWN} }`)],
  [
    'of a NetworkPolicy and its peers',
    TWO +
      object(
        'NetworkPolicy',
        `podSelector: { matchLabels: ${OWN} }, ingress: [{ from: [{ podSelector: { matchLabels: ${OWN} } }] }]`,
      ),
  ],
  ['of a NetworkPolicy for all pods', TWO + object('NetworkPolicy', 'podSelector: {}')],
  [
    'of pods of other namespaces',
    TWO +
      object(
        'NetworkPolicy',
        `podSelector: { matchLabels: ${OWN} }, ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: ${BOTH} } }] }]`,
      ),
  ],
];

for (const [title, yaml] of GOOD)
  test(`a selector may be that ${title}`, () => assert.deepEqual(check(checkSelectors, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a Deployment that selects the pods of another',
    `${workload('a', { selector: 'app: server', spread: `${RELEASE}: a` })}---${workload('b')}`,
    /^a\.yaml:\d+: Deployment\/a spec\.selector\.matchLabels: selects the pods of Deployment\/a and Deployment\/b, expected one$/,
  ],
  [
    'a Deployment that does not select its own pods',
    `${workload('a', { selector: `${RELEASE}: c`, spread: `${RELEASE}: a` })}`,
    /spec\.selector\.matchLabels: does not select the pods of Deployment\/a/,
  ],
  [
    'a spread over the pods of both',
    `${workload('a', { spread: 'app: server', selector: `${RELEASE}: a` })}---${workload('b')}`,
    /topologySpreadConstraints\[0\]\.labelSelector\.matchLabels: selects the pods of Deployment\/a and Deployment\/b/,
  ],
  [
    'a Service of both',
    TWO + object('Service', `selector: ${BOTH}`),
    /Service\/x spec\.selector: selects the pods of Deployment\/a and Deployment\/b, expected one/,
  ],
  [
    'a PodDisruptionBudget of both',
    TWO + object('PodDisruptionBudget', `selector: { matchLabels: ${BOTH} }`),
    /PodDisruptionBudget\/x spec\.selector\.matchLabels: selects the pods of/,
  ],
  [
    'a PodMonitoring of both',
    TWO + object('PodMonitoring', `selector: { matchLabels: ${BOTH} }`),
    /PodMonitoring\/x .*: selects the pods of Deployment\/b, which are not of the release a/,
  ],
  [
    'a NetworkPolicy of both',
    TWO + object('NetworkPolicy', `podSelector: { matchLabels: ${BOTH} }`),
    /NetworkPolicy\/x spec\.podSelector\.matchLabels: selects the pods of Deployment\/b/,
  ],
  [
    'a NetworkPolicy that lets the other release in',
    TWO +
      object(
        'NetworkPolicy',
        `podSelector: { matchLabels: ${OWN} }, ingress: [{ from: [{ podSelector: { matchLabels: { ${RELEASE}: b } } }] }]`,
      ),
    /spec\.ingress\[0\]\.from\[0\]\.podSelector\.matchLabels: selects the pods of Deployment\/b/,
  ],
  [
    'a NetworkPolicy that lets connections out to the other release',
    TWO +
      object(
        'NetworkPolicy',
        `podSelector: { matchLabels: ${OWN} }, egress: [{ to: [{ podSelector: { matchLabels: ${BOTH} } }] }]`,
      ),
    /spec\.egress\[0\]\.to\[0\]\.podSelector\.matchLabels: selects the pods of Deployment\/b/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`selectors are refused for ${title}`, () => {
    const found = check(checkSelectors, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
