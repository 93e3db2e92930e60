import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkShutdown } from '../../../../scripts/deploy-check/rules/shutdown.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const GRACE = (ms: number): string => `env: [{ name: SHUTDOWN_GRACE_MS, value: '${ms}' }]`;
const WAIT = (seconds: number): string => `lifecycle: { preStop: { sleep: { seconds: ${seconds} } } }`;
const SPOT = "nodeSelector: { cloud.google.com/gke-spot: 'true' }";
const CLASS = 'nodeSelector: { cloud.google.com/compute-class: cheap }';
const AFFINITY =
  "affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: { matchExpressions: [{ key: cloud.google.com/gke-spot, operator: In, values: ['true'] }] } }] } }";
const computeClass = (spot: boolean): string =>
  `---\n{ apiVersion: cloud.google.com/v1, kind: ComputeClass, metadata: { name: cheap }, spec: { priorities: [{ spot: ${spot} }] } }`;

const GOOD: [title: string, yaml: string][] = [
  ['its default on Kubernetes', deployment(WAIT(5))],
  ['20 s and a wait below 30 s', deployment(`${GRACE(20_000)}, ${WAIT(5)}`)],
  ['a longer one where the pod has longer', deployment(GRACE(60_000), 'terminationGracePeriodSeconds: 65')],
  ['its default and a wait of 5 s on Spot', deployment(WAIT(5), SPOT)],
  ['20 s on a class without Spot', deployment(GRACE(20_000), CLASS) + computeClass(false)],
  ['its default on Cloud Run', cloudRun()],
  ['its default in docker-compose', compose()],
  [
    '20 s in docker-compose, with as much time',
    compose('environment: { SHUTDOWN_GRACE_MS: 20000 }, stop_grace_period: 1m'),
  ],
];

for (const [title, yaml] of GOOD)
  test(`a shutdown may take ${title}`, () => assert.deepEqual(check(checkShutdown, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['30 s of 30 s', deployment(GRACE(30_000)), /env\[0\]: SHUTDOWN_GRACE_MS of 30000, but Kubernetes kills after 30 s/],
  [
    'what a wait leaves no time for',
    deployment(`${GRACE(20_000)}, ${WAIT(10)}`),
    /20000 after a preStop of 10 s, but Kubernetes/,
  ],
  [
    'its default in 8 s',
    deployment('', 'terminationGracePeriodSeconds: 8'),
    /containers\[0\]: SHUTDOWN_GRACE_MS of 8000/,
  ],
  ['20 s on Spot', deployment(GRACE(20_000), SPOT), /a Spot node that is reclaimed kills after 15 s/],
  ['a long wait on Spot, by affinity', deployment(WAIT(10), AFFINITY), /Spot/],
  ['20 s on a class with Spot', deployment(GRACE(20_000), CLASS) + computeClass(true), /Spot/],
  [
    "20 s on GKE's own class of Spot",
    deployment(GRACE(20_000), 'nodeSelector: { cloud.google.com/compute-class: autopilot-spot }'),
    /Spot/,
  ],
  ['10 s on Cloud Run', cloudRun(GRACE(10_000)), /Cloud Run kills after 10 s/],
  ['20 s in docker-compose', compose('environment: { SHUTDOWN_GRACE_MS: 20000 }'), /docker-compose kills after 10 s/],
  ['what is no duration', compose('stop_grace_period: soon'), /stop_grace_period: soon, expected seconds or minutes/],
];

for (const [title, yaml, line] of BAD) {
  test(`a shutdown may not take ${title}`, () => {
    const found = check(checkShutdown, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
