import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { serve as serveHere } from '../helpers/serve.ts';
import { ROOT, run, serve } from './program.ts';

const CONNECTIONS = '32';
const BODY = '{"features":[5.1,3.5,1.4,0.2]}';
const NEAR = 0.1;
/** On the server's own machine: the generator takes CPU time from the server, and wrk less of it. */
const SHARED = 0.8;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'wrk-'));
  writeFileSync(join(folder, 'body.json'), BODY);
  writeFileSync(
    join(folder, 'post.lua'),
    `wrk.method = "POST"\nwrk.body = '${BODY}'\nwrk.headers["Content-Type"] = "application/json"\n`,
  );
});
after(() => rmSync(folder, { recursive: true }));

interface Figures {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };

async function runWrk(url: string, seconds: number): Promise<Figures> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}`, '--latency', '-s', join(folder, 'post.lua'), url];
  const { stdout, stderr } = await run('wrk', args);
  const quantile = (percent: number): number => {
    const [, value, unit] = new RegExp(`^ +${percent}% +([\\d.]+)(us|ms|s)$`, 'm').exec(stdout) ?? [];
    assert.ok(value !== undefined, stdout + stderr);
    return Number(value) * UNITS[unit!]!;
  };
  return { rate: Number(/^Requests\/sec: +([\d.]+)$/m.exec(stdout)![1]), p50: quantile(50), p99: quantile(99) };
}

async function runLoadTest(url: string, seconds: number): Promise<Figures & { cores: number }> {
  const options = ['--body', join(folder, 'body.json'), '--connections', CONNECTIONS, '--duration', `${seconds}s`];
  const { stdout, stderr } = await run(process.execPath, [
    join(ROOT, 'dist/cli.js'),
    'loadtest',
    url,
    ...options,
    '--json',
  ]);
  assert.equal(stderr, '');
  const { rate, latency, generator } = JSON.parse(stdout).result;
  return { rate, p50: latency.p50, p99: latency.p99, cores: generator.cores };
}

/** Both in turn, four times; the best figures of each: another program of the machine makes them worse, and never better. */
async function compare(url: string, seconds: number): Promise<{ wrk: Figures; own: Figures; cores: number }> {
  const [wrk, own]: Figures[][] = [[], []];
  let cores = 0;
  for (let round = 0; round < 4; round += 1) {
    wrk!.push(await runWrk(url, seconds));
    const measured = await runLoadTest(url, seconds);
    own!.push(measured);
    cores = Math.max(cores, measured.cores);
  }
  return { wrk: bestOf(wrk!), own: bestOf(own!), cores };
}

function bestOf(rounds: readonly Figures[]): Figures {
  return {
    rate: Math.max(...rounds.map(({ rate }) => rate)),
    p50: Math.min(...rounds.map(({ p50 }) => p50)),
    p99: Math.min(...rounds.map(({ p99 }) => p99)),
  };
}

test('rate, median and 99th percentile are those of wrk, where the server decides them', async (t) => {
  // One request in 20 takes five times as long.
  let requests = 0;
  const { url } = await serveHere(t, (req, res) => {
    requests += 1;
    req.resume();
    setTimeout(() => res.end('{}'), requests % 20 === 0 ? 200 : 40);
  });
  const { wrk, own } = await compare(url, 2);
  for (const name of ['rate', 'p50', 'p99'] as const)
    assert.ok(Math.abs(own[name] / wrk[name] - 1) < NEAR, `${name}: ${own[name]}, with wrk ${wrk[name]}`);
});

test('the generator saturates a server on its own machine nearly as wrk does, and its thread has time left', async () => {
  const server = await serve(['dist/server.js']);
  try {
    const { wrk, own, cores } = await compare(`http://127.0.0.1:${server.port}/predict`, 1);
    assert.ok(own.rate > SHARED * wrk.rate, `${own.rate} per second, with wrk ${wrk.rate}`);
    assert.ok(cores < 0.9, `${cores} cores`);
  } finally {
    await server.stop();
  }
});
