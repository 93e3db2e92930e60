import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DATATYPES } from '../../../functions/routes/open-inference/datatype.ts';
import { SERVER } from '../../../functions/routes/open-inference/metadata.ts';
import { DTYPES } from '../../../functions/tensor/tensor.ts';

test("the server has Triton's name, which its clients compare, and only the first number of its own version", () => {
  const { name, version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  assert.deepEqual(SERVER, { name: 'triton', version: `${version.split('.')[0]}+${name}` });
});

test('every element type has a name of the protocol, each its own', () => {
  assert.deepEqual(Object.keys(DATATYPES).sort(), Object.keys(DTYPES).sort());
  assert.equal(new Set(Object.values(DATATYPES)).size, Object.keys(DTYPES).length);
});
