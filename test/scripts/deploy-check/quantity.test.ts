import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readQuantity } from '../../../scripts/deploy-check/quantity.ts';

test("Kubernetes' quantities are numbers of CPUs and bytes", () => {
  const given = ['500m', '2', '0.5', '1Gi', '1G', '512Mi', '1k', 'much', '1gb', '', undefined];
  assert.deepEqual(given.map(readQuantity), [
    0.5,
    2,
    0.5,
    2 ** 30,
    1e9,
    2 ** 29,
    1000,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
