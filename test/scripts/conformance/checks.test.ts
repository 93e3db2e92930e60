import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createClient } from '../../../clients/typescript/src/client.ts';
import { CHECKS } from '../../../scripts/conformance/checks.ts';
import type { Target } from '../../../scripts/conformance/context.ts';
import { PAIR, writeFixture } from '../../../scripts/conformance/fixture.ts';
import type { Answer } from '../../../scripts/conformance/http.ts';
import { type Result, runChecks } from '../../../scripts/conformance/run.ts';
import type { Startup } from '../../../scripts/conformance/startup.ts';
import { type Host, startHost } from '../../helpers/hosts.ts';
import { serve } from '../../helpers/serve.ts';
import { until } from '../../helpers/until.ts';
import { FAULTS } from './faults.ts';
import { startFaultyProxy } from './faulty-proxy.ts';

const LIMIT_BYTES = 2 ** 20;

const answer = (status: number, text: string): Answer => ({
  status,
  headers: { 'content-type': 'application/json' },
  bytes: new Uint8Array(Buffer.from(text)),
  text,
});
const unready = answer(503, '{"error":"loading"}');
const soundStartup: Startup = {
  before: { live: [answer(200, '{"live":true}')], ready: [unready], model: [unready, unready] },
  ready: answer(200, '{"ready":true}'),
};

const target = (url: string, more: Partial<Target> = {}): Target => ({
  url,
  headers: {},
  model: undefined,
  fixture: true,
  pid: undefined,
  limitBytes: LIMIT_BYTES,
  startup: soundStartup,
  timeoutMs: 20_000,
  ...more,
});

const verdicts = async (numbers: readonly number[], to: Target): Promise<Result[]> =>
  runChecks(
    CHECKS.filter(({ number }) => numbers.includes(number)),
    to,
    {},
    () => {},
  );

describe('each check', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checks-'));
  let host: Host | undefined;
  let proxy: Awaited<ReturnType<typeof startFaultyProxy>> | undefined;
  before(async () => {
    writeFixture(folder);
    const env = { MODEL_URI: folder, MODEL_NAME: PAIR, MAX_BODY_BYTES: String(LIMIT_BYTES), INFERENCE_PROCESSES: '1' };
    host = await startHost('container', env);
    const client = createClient({ url: host.url });
    await until(() => client.ready(), 'the model to be ready', 30_000);
    proxy = await startFaultyProxy(host.url);
  });
  after(async () => {
    proxy?.close();
    await host?.stop();
    rmSync(folder, { recursive: true });
  });

  test('holds for a sound server, through the proxy that makes the faults', async () => {
    proxy!.set(undefined);
    const results = await verdicts(
      CHECKS.map(({ number }) => number),
      target(proxy!.url),
    );
    assert.deepEqual(
      results.filter(({ verdict }) => verdict !== 'pass').map(({ number, why }) => [number, why]),
      [[31, ['needs --pid']]],
    );
  });

  for (const [number, what, fault, says] of FAULTS)
    test(`${number} fails: ${what}`, async () => {
      proxy!.set(fault);
      const [result] = await verdicts([number], target(proxy!.url));
      assert.equal(result!.verdict, 'fail');
      assert.match(result!.why.join('\n'), says);
    });

  test('that needs no models of its own holds with any model, and says what the others need', async () => {
    proxy!.set(undefined);
    const results = await verdicts(
      CHECKS.map(({ number }) => number),
      target(proxy!.url, { fixture: false, model: PAIR, startup: undefined, limitBytes: undefined }),
    );
    const needs = results.filter(({ verdict }) => verdict !== 'pass').map(({ number, why }) => [number, ...why]);
    assert.deepEqual(needs, [
      [2, 'needs --fresh'],
      [3, 'needs --fresh'],
      [5, 'needs --fresh'],
      ...[18, 19, 20, 21, 22].map((number) => [number, 'needs --fixture']),
      [24, 'the model takes more than one input, or no fixed row: --fixture'],
      [27, 'the server waits for the whole body: --limit BYTES says how much that is'],
      [30, 'needs --fixture'],
      [34, 'needs --fixture'],
      [35, 'needs --fixture'],
      [31, 'needs --fixture, --pid'],
    ]);
  });
});

const STARTS: readonly [number, string, Startup, RegExp][] = [
  [2, 'not live', { ...soundStartup, before: { ...soundStartup.before, live: [unready] } }, /expected 200, got 503/],
  [
    3,
    'ready too early',
    { ...soundStartup, before: { ...soundStartup.before, ready: [answer(404, '{}')] } },
    /expected 503, got 404/,
  ],
  [
    5,
    'model ready too early',
    { ...soundStartup, before: { ...soundStartup.before, model: [answer(200, '{}'), unready] } },
    /expected 503, got 200/,
  ],
];

test('a server that responds to everything with 200 and HTML fails every check', async (t) => {
  const { url } = await serve(t, (req, res) => {
    req.resume().once('end', () => res.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
  });
  const results = await verdicts(
    CHECKS.map(({ number }) => number),
    target(url, {
      startup: { before: { live: [unready], ready: [answer(200, '')], model: [answer(200, '')] }, ready: unready },
    }),
  );
  assert.deepEqual(
    results.filter(({ verdict }) => verdict !== 'fail').map(({ number }) => number),
    [31],
  );
});

test('the responses of a server while it started are checked', async (t) => {
  const { url } = await serve(t, (_, res) => {
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"name":"pair","ready":true,"inputs":[]}');
  });
  for (const [number, what, startup, says] of STARTS) {
    const [result] = await verdicts([number], target(url, { startup }));
    assert.equal(result!.verdict, 'fail', what);
    assert.match(result!.why.join('\n'), says);
  }
  const none: Startup = { before: { live: [], ready: [], model: [] }, ready: soundStartup.ready };
  for (const result of await verdicts([2, 3, 5], target(url, { startup: none }))) {
    assert.equal(result.verdict, 'unproven');
    assert.match(result.why.join(), /ready at the first look/);
  }
});

/** Answers after as many tenths of a millisecond as the input says. */
const terminated = (onSignal: string): string => `
  let draining = false;
  const server = require('http').createServer((req, res) => {
    let body = '';
    req.on('data', (piece) => { body += piece; }).on('end', () => {
      if (req.method === 'GET') return res.end('{"extensions":[]}');
      const head = { 'content-type': 'application/json', ...(draining ? draining.headers : {}) };
      if (draining) return res.writeHead(draining.status, head).end('{"error":"draining"}');
      const [x] = JSON.parse(body).inputs[0].data;
      setTimeout(() => res.writeHead(200, head).end('{}'), x / 10);
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  process.on('SIGTERM', () => { ${onSignal} });`;

const ENDINGS: readonly [what: string, onSignal: string, says: RegExp | undefined][] = [
  [
    'finishes, refuses and closes',
    `draining = { status: 503, headers: { connection: 'close' } }; setTimeout(() => process.exit(0), 2600);`,
    undefined,
  ],
  ['cuts what is under way', 'process.exit(0);', /the request under way: expected 200, got socket hang up/],
  [
    'refuses without closing',
    `draining = { status: 503, headers: {} }; setTimeout(() => process.exit(0), 2600);`,
    /Connection: expected "close"/,
  ],
  [
    'refuses with 500',
    `draining = { status: 500, headers: { connection: 'close' } }; setTimeout(() => process.exit(0), 2600);`,
    /expected 503, got 500/,
  ],
];

describe('31, with a server', { concurrency: true }, () => {
  for (const [what, onSignal, says] of ENDINGS)
    test(`that ${what} at SIGTERM`, async (t) => {
      const child = spawn(process.execPath, ['-e', terminated(onSignal)], { stdio: ['ignore', 'pipe', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      const [port] = await once(child.stdout, 'data');
      const [result] = await verdicts([31], target(`http://127.0.0.1:${Number(port)}`, { pid: child.pid! }));
      assert.equal(result!.verdict, says === undefined ? 'pass' : 'fail', result!.why.join('\n'));
      if (says !== undefined) assert.match(result!.why.join('\n'), says);
    });
});
