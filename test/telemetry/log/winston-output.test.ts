import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogEntry, makeEntry } from '../../../functions/telemetry/log/log-entry.ts';
import { startWinston } from '../../../functions/telemetry/log/winston-output.ts';

test('winston hands each entry of its level on, unchanged, before the call returns', async () => {
  const got: LogEntry[] = [];
  const write = await startWinston('warning', { write: (entry) => got.push(entry), flush: async () => {} });
  const entries = (['critical', 'error', 'warning', 'info', 'debug'] as const).map((level) =>
    makeEntry(level, level, {}, undefined),
  );
  for (const entry of entries) write(entry);
  assert.deepEqual(got, entries.slice(0, 3));
  assert.equal(got[0], entries[0]);
});

test('many entries in one turn are handed on at once, in order', async () => {
  let next = 0;
  const write = await startWinston('info', {
    write: (entry) => assert.equal(entry.count, next++),
    flush: async () => {},
  });
  for (let count = 0; count < 1000; count++) write(makeEntry('info', '', { count }, undefined));
  assert.equal(next, 1000);
});
