import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { makeEntry, makeRequestEntry } from '../../../functions/telemetry/log/log-entry.ts';
import { jsonLine, readableLine } from '../../../functions/telemetry/log/log-line.ts';

test('a JSON line is one line whatever the message holds, and reads back as the entry', () => {
  const entry = makeEntry('info', 'two\nlines\u2028and "quotes"', { count: 1 }, undefined);
  const line = jsonLine(entry);
  assert.equal(line.indexOf('\n'), line.length - 1);
  assert.deepEqual(JSON.parse(line), entry);
});

test('a readable line has the time, severity, message and fields, in colour', () => {
  const entry = makeRequestEntry(
    { method: 'GET', path: '/ready', status: 500, seconds: 0.0015, model: 'iris', code: undefined },
    undefined,
  );
  const line = readableLine(entry);
  assert.ok(line.includes('\x1b[31mERROR'));
  assert.match(stripVTControlCharacters(line), /^\d\d:\d\d:\d\d\.\d{3} ERROR {4}GET \/ready 500 1\.5ms model=iris\n$/);
});

test('control characters from a client cannot move the cursor or start a line', () => {
  const line = readableLine(makeEntry('info', 'a\x1b[2J\nb\x9b', { model: 'm\r' }, undefined));
  assert.ok(stripVTControlCharacters(line).endsWith('a\\x1b[2J\\x0ab\\x9b model=m\\x0d\n'));
});

test('a stack follows its line', () => {
  const line = stripVTControlCharacters(
    readableLine(makeEntry('error', 'broke', { error: new Error('why') }, undefined)),
  );
  assert.match(line, /ERROR {4}broke\nError: why\n {4}at /);
});
