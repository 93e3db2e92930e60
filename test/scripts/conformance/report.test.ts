import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatResult, summarize } from '../../../scripts/conformance/report.ts';
import type { Result } from '../../../scripts/conformance/run.ts';

const result = (verdict: Result['verdict'], ...why: string[]): Result => ({
  number: 7,
  title: 'it holds',
  verdict,
  why,
});

test('a line has number, result, title and reason; failed assertions follow', () => {
  assert.equal(formatResult(result('pass'), false), ' 7  pass        it holds');
  assert.equal(formatResult(result('unproven', 'needs --pid'), false), ' 7  not proven  it holds (needs --pid)');
  assert.equal(
    formatResult(result('cannot', 'the framework', 'a', 'b'), false),
    ' 7  cannot      it holds (the framework)',
  );
  assert.equal(
    formatResult(result('fail', 'a', 'b', 'c', 'd'), false),
    ' 7  FAIL        it holds\n    - a\n    - b\n    - c\n    and 1 more: --verbose',
  );
  assert.equal(formatResult(result('fail', 'a', 'b', 'c', 'd'), true).split('\n').length, 5);
  assert.equal(
    formatResult(result('cannot', 'the framework', 'a'), true),
    ' 7  cannot      it holds (the framework)\n    - a',
  );
});

test('the last line counts them', () => {
  assert.equal(
    summarize([result('pass'), result('pass'), result('fail')]),
    '3 checks: 2 pass, 1 fail, 0 not proven, 0 cannot',
  );
});
