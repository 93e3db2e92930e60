import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMemory } from '../../../../scripts/deploy-check/rules/memory.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const LIMITS = 'resources: { limits: { memory: 1Gi } }';
const BUDGET = (bytes: number): string => `env: [{ name: MODEL_MEMORY_BUDGET, value: '${bytes}' }]`;

const GOOD: [title: string, yaml: string][] = [
  ['a limit', deployment(LIMITS)],
  ['a budget below the limit', deployment(`${LIMITS}, ${BUDGET(500_000_000)}`)],
  ['no limit on what is not ours', deployment().replace('ml-model:1', 'redis:8')],
  ["docker-compose's sizes", compose('mem_limit: 1g, environment: { MODEL_MEMORY_BUDGET: 500000000 }')],
];

for (const [title, yaml] of GOOD)
  test(`memory may have ${title}`, () => assert.deepEqual(check(checkMemory, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['no limit', deployment('resources: { limits: { cpu: 1 } }'), /resources\.limits: no memory limit/],
  ['no limit on Cloud Run', cloudRun(), /no memory limit/],
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
];

for (const [title, yaml, line] of BAD) {
  test(`memory is refused for ${title}`, () => {
    const found = check(checkMemory, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
