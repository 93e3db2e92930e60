import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf } from '../../../scripts/fuzz/check-answer.ts';

const answer = (status: number, type: string, text: string, more: Record<string, string> = {}) => ({
  status,
  headers: { 'content-type': type, ...more },
  bytes: new Uint8Array(Buffer.from(text)),
  text,
});
const JSON_TYPE = 'application/json';
const ERROR = '{"error":"e","code":"INVALID_INPUT","request_id":"1"}';

test('errors of the documented form, and responses in strict JSON, are no fault', () => {
  assert.equal(faultOf(answer(400, JSON_TYPE, ERROR)), undefined);
  assert.equal(faultOf(answer(200, JSON_TYPE, '{"a":1}')), undefined);
  assert.equal(faultOf(answer(200, 'application/x-ndjson', '{}\n{}\n')), undefined);
  assert.equal(faultOf(answer(503, JSON_TYPE, ERROR, { 'retry-after': '1' })), undefined);
});

test('server errors, errors of another form, and responses that are not strict JSON are faults', () => {
  assert.match(faultOf(answer(500, JSON_TYPE, ERROR))!, /500/);
  assert.match(faultOf(answer(503, JSON_TYPE, ERROR))!, /Retry-After/);
  assert.match(faultOf(answer(400, JSON_TYPE, '{"error":"e"}'))!, /code, request_id/);
  assert.match(faultOf(answer(400, 'text/html', '<p>'))!, /content type/);
  assert.match(faultOf(answer(200, JSON_TYPE, '[NaN]'))!, /no application\/json/);
  assert.match(faultOf(answer(200, 'application/x-ndjson', '{}'))!, /not ended/);
});

test('a binary response whose sizes do not add up to its length is a fault', () => {
  const head = '{"outputs":[{"parameters":{"binary_data_size":4}}]}';
  const binary = (tail: string) =>
    faultOf(
      answer(200, 'application/octet-stream', head + tail, { 'inference-header-content-length': String(head.length) }),
    );
  assert.equal(binary('1234'), undefined);
  assert.match(binary('123')!, /sizes come to 4, 3 bytes/);
});
