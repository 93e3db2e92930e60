import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTensor, type Datatype } from '../../../clients/typescript/src/tensor.ts';
import { Unproven } from '../../../scripts/conformance/check.ts';
import { DTYPES } from '../../../scripts/conformance/fixture.ts';
import { sampleInputs } from '../../../scripts/conformance/sample.ts';

test('a sample fits the metadata: the first free dimension is the rows, the others are 1', () => {
  for (const datatype of Object.keys(DTYPES) as Datatype[]) {
    const { x } = sampleInputs({ inputs: [{ name: 'x', datatype, shape: [-1, 3, -1] }] }, 2);
    assert.deepEqual(x!.shape, [2, 3, 1]);
    checkTensor('x', x!);
  }
});

test('a datatype that the protocol does not have is not guessed at', () => {
  assert.throws(() => sampleInputs({ inputs: [{ name: 'x', datatype: 'BF16', shape: [1] }] }), Unproven);
});
