import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogEntry, makeEntry } from '../../../functions/telemetry/log/log-entry.ts';
import type { Output } from '../../../functions/telemetry/log/stdout-output.ts';
import { startWinston } from '../../../functions/telemetry/log/winston-output.ts';

function fakeOutput() {
  const written: { entry: LogEntry; text: string }[] = [];
  const output: Output = {
    format: (entry) => `line of ${entry.message}`,
    write: (entry, text) => void written.push({ entry, text }),
    flush: async () => {},
  };
  return { output, written };
}

test('winston formats each entry of its level and hands both to the transport, before the call returns', async () => {
  const { output, written } = fakeOutput();
  const write = await startWinston('warning', output);
  const entries = (['critical', 'error', 'warning', 'info', 'debug'] as const).map((level) =>
    makeEntry(level, level, {}, undefined),
  );
  for (const entry of entries) write(entry);
  assert.deepEqual(
    written.map(({ text }) => text),
    ['line of critical', 'line of error', 'line of warning'],
  );
  assert.equal(written[0]!.entry, entries[0], 'the entry itself, unchanged');
});

test('many entries in one turn are handed on at once, in order', async () => {
  const { output, written } = fakeOutput();
  const write = await startWinston('info', output);
  for (let count = 0; count < 1000; count++) write(makeEntry('info', '', { count }, undefined));
  assert.deepEqual(
    written.map(({ entry }) => entry.count),
    Array.from({ length: 1000 }, (_, i) => i),
  );
});
