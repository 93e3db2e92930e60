import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { STATUS } from '../functions/http/status.ts';
import { CLOSE_REASONS, REJECT_REASONS, RESTART_REASONS } from '../functions/telemetry/metrics/metric-table.ts';
import { readPage, section, table } from './helpers/readme.ts';

const PAGE = 'docs/troubleshooting.md';
/** Of the tables of log lines, and of messages that callers get. */
const HEADS = ['the log says', 'the error says'];
const ROOT = join(import.meta.dirname, '..');

/** Sources of the server; the page in the browser and the client write no log. */
const SOURCES = globSync('functions/**/*.ts', { cwd: ROOT })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => !/^functions\/(page|client)\//.test(path))
  .map((path) => ({ path, text: flatten(readFileSync(join(ROOT, path), 'utf8')) }));

/** A source whose messages read as they are logged: joined literals are one, and `…` stands for each value. */
function flatten(source: string): string {
  return withoutValues(source.replace(/['`"]\s*\+\s*['`"]/g, ''));
}

/** Replaces each `${…}` with `…`, inner ones with it; the literals in it are kept at the end, for they are messages too. */
function withoutValues(source: string): string {
  let text = '';
  let inner = '';
  for (let at = 0; at < source.length; ) {
    if (!source.startsWith('${', at)) {
      text += source[at++];
      continue;
    }
    const from = at;
    let depth = 0;
    do {
      depth += source[at] === '{' ? 1 : source[at] === '}' ? -1 : 0;
      at += 1;
    } while (at < source.length && (depth > 0 || at === from + 1));
    text += '…';
    inner += `\n${source.slice(from + 2, at - 1)}`;
  }
  return text + inner;
}

/** The texts in backticks in the first column of every table of log lines and of messages. */
function quotes(): string[] {
  const lines = readPage(PAGE).split('\n');
  return lines.flatMap((line, i) => {
    const head = HEADS.find((one) => line.startsWith(`| ${one} |`));
    return head === undefined ? [] : table(lines.slice(i).join('\n'), head).flatMap(([cell]) => spansOf(cell!));
  });
}

/** The texts in backticks. */
const spansOf = (text: string): string[] => Array.from(text.matchAll(/`([^`\n]+)`/g), ([, span]) => span!);

/** The constant parts of a message, those of at least three characters. */
const partsOf = (message: string): string[] =>
  message
    .split('…')
    .map((part) => part.trim())
    .filter((part) => part.length > 2);

/** Whether the parts are in the text, in order. */
function has(text: string, parts: readonly string[]): boolean {
  let from = 0;
  return parts.every((part) => {
    const at = text.indexOf(part, from);
    from = at + part.length;
    return at !== -1;
  });
}

test('troubleshooting has a row for every error code, with its status, in order', () => {
  const rows = table(section(PAGE, 'Error codes'), 'code');
  assert.deepEqual(
    rows.map((cells) => cells.slice(0, 2)),
    Object.entries(STATUS).map(([code, status]) => [`\`${code}\``, String(status)]),
  );
  for (const cells of rows) assert.ok(cells.length === 4 && cells.every((cell) => cell !== ''), cells.join(' | '));
});

test('every log line and message that troubleshooting quotes is in the sources', () => {
  const quoted = quotes();
  assert.ok(quoted.length > 80, String(quoted.length));
  assert.deepEqual(
    quoted.filter((quote) => !SOURCES.some(({ text }) => has(text, partsOf(quote)))),
    [],
  );
});

/** Messages of `warning`, `error` and `critical` that are no literal at the call: what each is made of. */
const MADE_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  'functions/container.ts': ['…: expected the key of the certificate in …, got another key', '…: cannot be read: …'],
  'functions/http/connection/listen.ts': [
    '… is in use: set another port',
    '… is no address of this machine: set HOST=* for all',
    'cannot listen on …=…',
  ],
  'functions/access/tokens.ts': ['AUTH_TOKEN_FILE cannot be used, and the tokens that it had before stay valid: …'],
  'functions/model/repository/listing.ts': [
    'has files, but no …: it is ignored',
    'has the version number of another folder, which serves: it is ignored',
  ],
  'functions/model/serving/load-generation.ts': ['one request a run'],
  'functions/model/serving/model.ts': ['the new version failed to load; the previous version keeps serving: …'],
  'functions/telemetry/log/refusal-log.ts': ['refused a request with …; further ones are counted and logged every … s'],
  'functions/telemetry/log/stdout-output.ts': ['log lines were dropped: the reader of stdout did not keep up'],
  'functions/telemetry/log/logger.ts': ['winston did not load; lines are written without it'],
};

/** A call that writes a warning or an error, and its first argument: a literal, or what it is made of. */
const CALL = /(?:\.(?:warning|error|critical)|(?<![.\w])#?warn|(?<![.\w])log)\(\s*([`'][^`'\n]+|[\w.()]+)/g;

test('every warning and error that the server logs has its line in troubleshooting', () => {
  const quoted = spansOf(readPage(PAGE));
  const unexplained: string[] = [];
  let found = 0;
  for (const { path, text } of SOURCES) {
    // Commander's `error` ends the command line with its message.
    if (path.startsWith('functions/cli/')) continue;
    for (const [call, argument] of text.matchAll(CALL)) {
      const parts = /^[`']/.test(argument!) ? partsOf(argument!.slice(1)) : [];
      const isNamed = !call.startsWith('.') || /^(?:z|console)\b/.test(argument!);
      if (parts.length === 0 && (isNamed || path in MADE_ELSEWHERE)) continue;
      found += 1;
      if (parts.length === 0 || !quoted.some((quote) => has(quote, parts))) unexplained.push(`${path}: ${argument}`);
    }
  }
  assert.ok(found > 25, String(found));
  assert.deepEqual(unexplained, []);
  for (const [path, messages] of Object.entries(MADE_ELSEWHERE)) {
    for (const message of messages) assert.ok(quoted.includes(message), `${path}: ${message}`);
  }
});

test('troubleshooting explains every reason for which a request, a connection or an engine process ends', () => {
  const causes = section(PAGE, 'Metrics and their causes');
  assert.deepEqual(
    [...REJECT_REASONS, ...CLOSE_REASONS, ...RESTART_REASONS].filter((reason) => !causes.includes(`"${reason}"`)),
    [],
  );
});
