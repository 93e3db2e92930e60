import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { describeError } from '../../../functions/telemetry/log/log-error.ts';

test('a ServingError is described by its code, its stack and the chain of its causes, outermost first', () => {
  const root = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const middle = new TypeError('fetch failed', { cause: root });
  const described = describeError(new ServingError('NOT_READY', 'no model', { cause: middle }));
  assert.equal(described.code, 'NOT_READY');
  assert.deepEqual(described.causes, [
    { name: 'TypeError', message: 'fetch failed' },
    { name: 'Error', message: 'refused', code: 'ECONNREFUSED' },
  ]);
  assert.match(described.stack_trace, /^ServingError: no model\n {4}at /);
  assert.match(described.stack_trace, /\nCaused by: TypeError: fetch failed\n {4}at /);
});

test('nothing that a caller sent is kept of an INVALID_INPUT error, not from its message, its stack or its causes', () => {
  const cause = new SyntaxError('Unexpected token in\n{"features":[5.123]}');
  const invalid = new ServingError('INVALID_INPUT', 'features[0] must be\na number, given 5.123', {
    path: 'features[0]',
    cause,
  });
  for (const error of [invalid, new Error('outer: 5.123', { cause: invalid })]) {
    const described = describeError(error);
    assert.doesNotMatch(JSON.stringify(described), /5\.123/);
    assert.match(described.stack_trace, /\n {4}at /);
  }
  assert.equal(describeError(invalid).code, 'INVALID_INPUT');
  // onnxruntime's text of a run that failed names the value that it failed on.
  const failed = new ServingError('MODEL_FAILED', 'idx=5.123', { cause: new Error('idx=5.123') });
  assert.doesNotMatch(JSON.stringify(describeError(failed)), /5\.123/);
  assert.equal(describeError(invalid).path, 'features[0]');
  assert.deepEqual(describeError(invalid).causes, [{ name: 'SyntaxError' }]);
});

test('a chain of causes that runs in a circle ends', () => {
  const a = new Error('a');
  a.cause = new Error('b', { cause: a });
  assert.equal(describeError(a).causes?.length, 8);
});

test('what is thrown without being an error is described too', () => {
  assert.deepEqual(describeError('out of luck'), { stack_trace: 'string: out of luck' });
  assert.deepEqual(describeError(null), { stack_trace: 'object: null' });
});

test('a stack is cut at 16 KiB', () => {
  assert.equal(describeError(new Error('x'.repeat(100_000))).stack_trace.length, 16_384);
});

test('what only the operator may know of an error is in the log', () => {
  const detail = 'gs://bucket: no such folder';
  assert.equal(describeError(new ServingError('NOT_READY', 'not ready', { detail })).detail, detail);
  assert.equal('detail' in describeError(new ServingError('NOT_READY', 'not ready')), false);
});
