import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Got, serveDescribed } from '../helpers/described-server.ts';
import { until } from '../helpers/until.ts';
import { ROOT, run } from '../system/program.ts';

const MAIN = join(ROOT, 'functions/cli/main.ts');
const loadtest = (...args: string[]) => run(process.execPath, [MAIN, 'loadtest', ...args]);
const QUICK = ['--requests', '20', '--warm-up', '0'];

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
});
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe('wrong usage is one line on stderr and exit code 2', () => {
  const URL = 'http://localhost:8080';
  const cases: [args: string[], line: RegExp][] = [
    [[], /missing required argument 'url'/],
    [['localhost:8080'], /localhost:8080: expected the URL of a server, such as http:\/\/localhost:8080\n$/],
    [['http:///predict'], /expected the URL of a server/],
    [['http://me:secret@host'], /^onnx-cloud-run: the URL has a user name or a password: give a token with --token/],
    [[URL, '--ca', 'ca.pem'], /--ca is for a URL that begins with https/],
    [[URL, '--rate', '0'], /It takes a number from 1 to 1000000, a ramp such as 10\.\.100, or steps/],
    [[URL, '--connections', '1.5'], /It takes a whole number/],
    [[URL, '--duration', '2h'], /It takes a duration such as 10s, 500ms or 2m/],
    [[URL, '--slo', 'p99=50'], /It takes objectives with commas between them/],
    [[URL, '--format', 'grpc'], /It takes native, oip, oip-binary, tensorflow or vertex/],
    [[URL, '--rate', '1', '--connections', '1'], /--rate is for an open loop and --connections for a closed one/],
    [[URL, '--find-capacity'], /--find-capacity needs the objectives/],
    [[URL, '--batch', '8'], /\/predict takes one row/],
    [[URL, '--check', '--format', 'vertex'], /--check compares the outputs of --format native and oip alone/],
    [[URL, '--token', 'a', '--token-file', 'b'], /give --token or --token-file, not both/],
    [[URL, 'http://other'], /too many arguments/],
  ];
  for (const [args, line] of cases) {
    test(`loadtest ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await loadtest(...args);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, line);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      assert.doesNotMatch(stderr, /secret/);
    });
  }
});

describe('what cannot be loaded is one line and exit code 1', () => {
  test('a port on which nothing listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    const { code, stderr } = await loadtest(`http://127.0.0.1:${port}`);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^onnx-cloud-run: 127\\.0\\.0\\.1:${port}: nothing listens there`, 'm'));
    assert.doesNotMatch(stderr, /\n +at /);
  });

  test('a server that is not one of models, a redirect, a missing file, a folder for a file, a row that does not fit', async (t) => {
    const { url } = await serveDescribed(t);
    const other = await serveDescribed(t, undefined, { '/ready': { hello: 'world' } });
    const moved = await serveDescribed(t);
    const badRow = write('bad.csv', 'a,b,c,d\n1,2,3,4\n1,2,x,4\n');
    const cases: [args: string[], line: RegExp][] = [
      [[other.url], /\/ready does not name a model: give its name with --model/],
      [[moved.url, '--model', 'iris-2'], /\/v2\/models\/iris-2 returned 404/],
      [[url, '--rows', join(folder, 'nowhere.csv')], /nowhere\.csv: no such file or folder/],
      [[url, '--rows', folder], /expected a file of samples, \.csv/],
      [[url, '--rows', badRow], /bad\.csv:3: column 3 \(c\)/],
      [[url, '--token-file', folder], /expected a file, and it is a folder/],
      [[url, '--html', join(folder, 'nowhere/report.html')], /no such file or folder/],
      [[url, '--html', folder], /expected a file, and it is a folder/],
    ];
    for (const [args, line] of cases) {
      const { code, stdout, stderr } = await loadtest(...args, ...QUICK);
      assert.deepEqual([code, stdout], [1, ''], stderr);
      assert.match(stderr, line);
      assert.doesNotMatch(stderr, /\n +at /);
    }
  });
});

test('the report says what was sent, with latencies and rate, and the exit code is 0', async (t) => {
  const { url, predicted } = await serveDescribed(t);
  const html = join(folder, 'report.html');
  const { code, stdout, stderr } = await loadtest(url, ...QUICK, '--html', html, '--slo', 'p99=60s,errors=0%');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /a row in this server's own \/predict, the model's example/);
  assert.match(stdout, /^ +20 +20 +0\.0 % /m);
  assert.match(stdout, /^ {2}p99 ≤ 60\.0 s .* met$/m);
  assert.ok(stdout.endsWith(`report: ${html}\n`));
  // The report has styles on a terminal alone.
  assert.ok(!stdout.includes('\u001b'));
  assert.equal(predicted.length, 20);
  assert.equal(predicted[0]!.body.toString(), '{"features":[5.1,3.5,1.4,0.2]}');
  assert.match(readFileSync(html, 'utf8'), /^<!doctype html>/);
});

test('objectives that are missed are exit code 1, also with --json, which prints one document alone', async (t) => {
  const { url } = await serveDescribed(t, (_, res) => void res.writeHead(503).end('{"error":"loading"}'));
  const { code, stdout, stderr } = await loadtest(url, ...QUICK, '--slo', 'errors=1%', '--json');
  assert.deepEqual([code, stderr], [1, '']);
  const { result, verdicts, load } = JSON.parse(stdout);
  assert.deepEqual(result.statuses, { 503: 20 });
  assert.deepEqual(result.samples, { 503: '{"error":"loading"}' });
  assert.deepEqual([verdicts[0].met, verdicts[0].measured], [false, 1]);
  assert.deepEqual(load, { kind: 'closed', connections: [{ seconds: 10, from: 16, to: 16 }] });
});

test('without objectives a load that had no success is exit code 1', async (t) => {
  const { url } = await serveDescribed(t, (_, res) => void res.writeHead(500).end());
  const { code, stdout } = await loadtest(url, ...QUICK);
  assert.equal(code, 1);
  assert.match(stdout, /^ {2}status 500 +20 +100\.0 %/m);
});

test('tokens go to the host of the URL alone: a redirect is counted, and not followed', async (t) => {
  const other = await serveDescribed(t);
  const { url, described, predicted } = await serveDescribed(t, (_, res) => {
    res.writeHead(307, { Location: `${other.url}/predict` }).end();
  });
  const { code, stdout } = await loadtest(url, ...QUICK, '--token-file', write('token', 'abc123\n'));
  assert.equal(code, 1);
  assert.match(stdout, /^ {2}status 307 +20 /m);
  const authorized = (all: readonly Got[]): boolean =>
    all.every(({ headers }) => headers.authorization === 'Bearer abc123');
  assert.ok(predicted.length === 20 && authorized(predicted) && authorized(described));
  assert.deepEqual([other.described.length, other.predicted.length], [0, 0]);
});

test('--check finds values that are not those of the golden rows', async (t) => {
  const right = await serveDescribed(t);
  assert.equal((await loadtest(right.url, ...QUICK, '--check')).code, 0);
  assert.equal(right.predicted[0]!.body.toString(), '{"features":[1,2,3,4]}');
  const wrong = await serveDescribed(t, (_, res, nth) => void res.end(`{"outputs":{"label":${nth === 7 ? 1 : 2}}}`));
  const { code, stdout } = await loadtest(wrong.url, ...QUICK, '--check');
  assert.equal(code, 1);
  assert.match(
    stdout,
    /other values than expected +1 +5\.0 % +golden row 0 of the server: outputs\.label: element 0 came out as 1, expected 2/,
  );
});

test('--body sends a file to the path of the URL, of any server', async (t) => {
  const { url, described, predicted } = await serveDescribed(t);
  const body = write('body.txt', 'hello');
  const { code } = await loadtest(`${url}/any/path?x=1`, ...QUICK, '--body', body, '--content-type', 'text/plain');
  assert.equal(code, 0);
  const [{ path, headers, body: sent }] = predicted as [Got];
  assert.deepEqual([path, headers['content-type'], sent.toString()], ['/any/path?x=1', 'text/plain', 'hello']);
  assert.deepEqual(
    described.map((got) => got.path),
    ['/metrics', '/metrics'],
  );
});

test('several threads share the requests', async (t) => {
  const { url, predicted } = await serveDescribed(t);
  const { code, stdout } = await loadtest(url, ...QUICK, '--threads', '2', '--json');
  assert.equal(code, 0);
  const { requests, connections } = JSON.parse(stdout).result;
  assert.deepEqual([requests, predicted.length, connections], [20, 20, 16]);
});

test('Ctrl-C ends a load: a line, exit code 130, and no report', async (t) => {
  const { url, predicted } = await serveDescribed(t);
  const html = join(folder, 'interrupted.html');
  const child = spawn(process.execPath, [MAIN, 'loadtest', url, '--duration', '1h', '--html', html], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const output = Promise.all([child.stdout.setEncoding('utf8').toArray(), child.stderr.setEncoding('utf8').toArray()]);
  await until(() => predicted.length > 100, 'the load to begin');
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  const [stdout, stderr] = (await output).map((parts) => parts.join('')) as [string, string];
  assert.deepEqual([code, stdout], [130, '']);
  assert.match(stderr, /^onnx-cloud-run: interrupted$/m);
  assert.ok(!existsSync(html));
});

test('a pipe that closes is no error', async (t) => {
  const { url } = await serveDescribed(t);
  const command = `"${process.execPath}" "${MAIN}" loadtest ${url} ${QUICK.join(' ')} | true; exit "\${PIPESTATUS[0]}"`;
  const { code, stderr } = await run('bash', ['-c', command]);
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /\n +at /);
});
