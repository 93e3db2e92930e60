import assert from 'node:assert/strict';
import { test } from 'node:test';
import { invalid, readParameters, slotsOf, unsupported } from '../../../functions/routes/open-inference/members.ts';
import { tensorSpec } from '../../helpers/generation-stub.ts';

test('parameters are an object, or absent', () => {
  assert.equal(readParameters({}, 'inputs[0]'), undefined);
  assert.deepEqual(readParameters({ parameters: { other: 1 } }, 'inputs[0]'), { other: 1 });
});

test('parameters of another kind are refused at their place, of a tensor or of the whole request', () => {
  for (const [place, path] of [
    ['', 'parameters'],
    ['outputs[3]', 'outputs[3].parameters'],
  ] as const) {
    for (const parameters of [null, true, 'x', [], 1]) {
      assert.throws(() => readParameters({ parameters }, place), {
        code: 'INVALID_INPUT',
        path,
        message: new RegExp(`^${path.replace(/[[\]]/g, '\\$&')}: expected an object, got `),
      });
    }
  }
});

test('a tensor in shared memory is UNSUPPORTED, and not INVALID_INPUT', () => {
  const parameters = { shared_memory_region: 'region', shared_memory_byte_size: 8 };
  assert.throws(() => readParameters({ parameters }, 'inputs[0]'), {
    code: 'UNSUPPORTED',
    path: 'inputs[0].parameters.shared_memory_region',
  });
});

test('an input or output is found by its exact name, and by nothing else', () => {
  const slots = slotsOf([tensorSpec('a', 'bool'), tensorSpec('__proto__', 'bool'), tensorSpec('', 'bool')]);
  assert.deepEqual(
    ['a', '__proto__', ''].map((name) => slots.get(name)),
    [0, 1, 2],
  );
  for (const name of ['constructor', 'A', undefined, null, 0]) assert.equal(slots.get(name), undefined);
});

test('an error has a path if it concerns a place of the body', () => {
  assert.equal(invalid(undefined, 'the body: no').path, undefined);
  assert.deepEqual([invalid('id', 'id: no').code, invalid('id', 'id: no').path], ['INVALID_INPUT', 'id']);
  assert.deepEqual([unsupported('x').code, unsupported('x').path], ['UNSUPPORTED', 'x']);
});
