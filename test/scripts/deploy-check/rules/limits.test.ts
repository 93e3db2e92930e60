import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLimits } from '../../../../scripts/deploy-check/rules/limits.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const LIMITS = "resources: { requests: { cpu: 500m, memory: 512Mi }, limits: { cpu: '1', memory: 1Gi } }";
const SERVER = deployment(LIMITS);
const resources = (requests: string, limits: string): string =>
  deployment(`resources: { requests: ${requests}, limits: ${limits} }`);
const autoscaler = (spec: string, name = 'server'): string =>
  `---\n{ apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: { name: hpa }, spec: { scaleTargetRef: { kind: Deployment, name: ${name} }, ${spec} } }\n`;
const budget = (spec: string): string =>
  `---\n{ apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: { name: pdb }, spec: { selector: { matchLabels: { app: server } }, ${spec} } }\n`;
const BUDGET = (bytes: number): string => `env: [{ name: MODEL_MEMORY_BUDGET, value: '${bytes}' }]`;
const CPU =
  'metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 70 } } }]';

const GOOD: [title: string, yaml: string][] = [
  ['requests below limits', SERVER],
  ['a budget below the memory', deployment(`${LIMITS}, ${BUDGET(500_000_000)}`)],
  ['as many GPUs asked for as given', resources("{ nvidia.com/gpu: '1' }", "{ memory: 16Gi, nvidia.com/gpu: '1' }")],
  ['an autoscaler of its own replicas', SERVER + autoscaler(`minReplicas: 2, maxReplicas: 10, ${CPU}`)],
  [
    'a budget of disruption that lets one go',
    SERVER + autoscaler('minReplicas: 2, maxReplicas: 3') + budget('minAvailable: 1'),
  ],
  ['a budget by what may be gone', SERVER + budget('maxUnavailable: 1')],
  ['half of two', deployment(LIMITS).replace('spec:\n', 'spec:\n  replicas: 2\n') + budget('minAvailable: 50%')],
  ['no limit on what is not ours', deployment().replace('ml-model:1', 'redis:8')],
  ["docker-compose's sizes", compose('mem_limit: 1g, environment: { MODEL_MEMORY_BUDGET: 500000000 }')],
];

for (const [title, yaml] of GOOD)
  test(`limits may have ${title}`, () => assert.deepEqual(check(checkLimits, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a request of more CPU than the limit',
    resources('{ cpu: 1500m }', "{ cpu: '1', memory: 1Gi }"),
    /requests\.cpu: requests 1500m, above its limit of 1/,
  ],
  [
    'a request of more memory',
    resources('{ memory: 1Gi }', '{ memory: 1000Mi }'),
    /requests 1Gi, above its limit of 1000Mi/,
  ],
  ['a request of a GPU alone', resources("{ nvidia.com/gpu: '1' }", '{ memory: 1Gi }'), /GPUs are given by the limit/],
  ['no memory limit', resources('{ memory: 1Gi }', '{ cpu: 1 }'), /resources\.limits: no memory limit/],
  ['no memory limit on Cloud Run', cloudRun(), /no memory limit/],
  [
    'a budget of all memory',
    deployment(`${LIMITS}, ${BUDGET(2 ** 30)}`),
    /env\[0\]: MODEL_MEMORY_BUDGET of 1073741824, not below the memory limit of 1Gi/,
  ],
  [
    'a budget of all memory in docker-compose',
    compose('mem_limit: 512m, environment: { MODEL_MEMORY_BUDGET: 536870912 }'),
    /not below the memory limit of 512m/,
  ],
  [
    'an autoscaler whose least is above its most',
    SERVER + autoscaler('minReplicas: 5, maxReplicas: 4'),
    /minReplicas 5, above maxReplicas 4/,
  ],
  [
    'an autoscaler of nothing',
    SERVER + autoscaler('maxReplicas: 4', 'other'),
    /scaleTargetRef: there is no Deployment other/,
  ],
  [
    'replicas beside an autoscaler',
    SERVER.replace('spec:\n', 'spec:\n  replicas: 3\n') + autoscaler('maxReplicas: 4'),
    /Deployment\/server spec\.replicas: is set/,
  ],
  [
    'a share of a CPU that nobody asked for',
    resources('{ memory: 1Gi }', '{ memory: 1Gi }') + autoscaler(`maxReplicas: 4, ${CPU}`),
    /requests no cpu, of which/,
  ],
  [
    'a budget that lets none go',
    SERVER + autoscaler('minReplicas: 2, maxReplicas: 3') + budget('minAvailable: 2'),
    /of 2 pods none may leave/,
  ],
  ['a budget in percent that lets none go', SERVER + budget('minAvailable: 50%'), /of 1 pods none may leave/],
  ['a budget of 0', SERVER + budget('maxUnavailable: 0'), /none may leave/],
  ['a budget of no pod', SERVER + budget('maxUnavailable: 1').replace('app: server', 'app: other'), /selects no pod/],
];

for (const [title, yaml, line] of BAD) {
  test(`limits are refused for ${title}`, () => {
    const found = check(checkLimits, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
