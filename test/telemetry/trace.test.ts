import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrace } from '../../functions/telemetry/trace.ts';

const ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('a traceparent gives its ids and the lowest bit of its flags', () => {
  assert.deepEqual(parseTrace(`00-${ID}-${SPAN}-01`, undefined), { traceId: ID, spanId: SPAN, sampled: true });
  assert.deepEqual(parseTrace(`00-${ID}-${SPAN}-00`, undefined), { traceId: ID, spanId: SPAN, sampled: false });
  assert.equal(parseTrace(`00-${ID}-${SPAN}-02`, undefined)?.sampled, false);
  assert.equal(parseTrace(`00-${ID}-${SPAN}-ff`, undefined)?.sampled, true);
});

test('a traceparent of a later version is read by its prefix', () => {
  for (const header of [
    `01-${ID}-${SPAN}-01`,
    `cc-${ID}-${SPAN}-01-what-the-future-will-be-like`,
    `01-${ID}-${SPAN}-01-`,
  ]) {
    assert.deepEqual(parseTrace(header, undefined), { traceId: ID, spanId: SPAN, sampled: true }, header);
  }
});

const MALFORMED = [
  '',
  'nonsense',
  `ff-${ID}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${ID}-${'0'.repeat(16)}-01`,
  `00-${ID.toUpperCase()}-${SPAN}-01`,
  `00-${ID}-${SPAN}-01-extra`,
  `00-${ID}-${SPAN}-01-`,
  `cc-${ID}-${SPAN}-01.what`,
  `00-${ID}-${SPAN}-1`,
  `00-${ID.slice(1)}-${SPAN}-01`,
  `00-${ID}-${SPAN}-0g`,
  `00-${ID}-${SPAN}-01, 00-${ID}-${SPAN}-01`,
];

for (const header of MALFORMED) {
  test(`the traceparent ${JSON.stringify(header)} counts as absent`, () => {
    assert.equal(parseTrace(header, undefined), undefined);
    assert.equal(parseTrace(header, `${ID}/1;o=1`)?.spanId, '0000000000000001');
  });
}

test('a valid traceparent has precedence over x-cloud-trace-context', () => {
  assert.deepEqual(parseTrace(`00-${ID}-${SPAN}-00`, `${'1'.repeat(32)}/2;o=1`), {
    traceId: ID,
    spanId: SPAN,
    sampled: false,
  });
});

const CLOUD: [string, string | undefined, boolean][] = [
  [`${ID}/74;o=1`, '000000000000004a', true],
  [`${ID}/18446744073709551615;o=0`, 'ffffffffffffffff', false],
  [`${ID}/74`, '000000000000004a', false],
  [`${ID};o=1`, undefined, true],
  [`${ID}/0;o=1`, undefined, true],
  [ID, undefined, false],
  [`${ID.toUpperCase()}/74;o=3`, '000000000000004a', true],
];

for (const [header, spanId, sampled] of CLOUD) {
  test(`x-cloud-trace-context ${header} has the span ${spanId} in hex`, () => {
    assert.deepEqual(parseTrace(undefined, header), { traceId: ID, spanId, sampled });
  });
}

for (const header of [
  '',
  `${'0'.repeat(32)}/1;o=1`,
  `${ID}/`,
  `${ID}/0x1`,
  `${ID}/18446744073709551616`,
  `${ID}/1;o=`,
  `${ID}/1;x`,
]) {
  test(`the x-cloud-trace-context ${JSON.stringify(header)} counts as absent`, () => {
    assert.equal(parseTrace(undefined, header), undefined);
  });
}
