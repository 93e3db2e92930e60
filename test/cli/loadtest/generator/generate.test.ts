import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ClosedLoop,
  type GeneratorOptions,
  generate,
  type Hooks,
  type OpenLoop,
} from '../../../../functions/cli/loadtest/generator/generate.ts';
import { type LoadResult, summarize } from '../../../../functions/cli/loadtest/summary.ts';
import { createSimulatedClock, createSimulatedServer } from '../../../helpers/simulated-load.ts';

const BYTES = Buffer.from('POST / HTTP/1.1\r\n\r\n');
const closed = (callers: number, seconds = 10): ClosedLoop => ({
  kind: 'closed',
  callers: [{ seconds, from: callers, to: callers }],
});
const open = (rate: number, seconds = 10, more: Partial<OpenLoop> = {}): OpenLoop => ({
  kind: 'open',
  rate: [{ seconds, from: rate, to: rate }],
  arrivals: 'constant',
  connections: 1000,
  seed: 1,
  ...more,
});

type Server = Parameters<typeof createSimulatedServer>[1];

/** Runs a load against a simulated server, in simulated time. */
async function simulate(
  loop: ClosedLoop | OpenLoop,
  server: Server,
  options: Partial<GeneratorOptions> & { hooks?: Hooks } = {},
): Promise<LoadResult & { server: ReturnType<typeof createSimulatedServer>; endedAt: number }> {
  const clock = createSimulatedClock();
  const simulated = createSimulatedServer(clock, server);
  const { hooks = {}, ...rest } = options;
  const all: GeneratorOptions = {
    endpoint: { port: 1 },
    requests: [BYTES],
    loop,
    warmupSeconds: 0,
    maxRequests: 0,
    timeoutMs: 60_000,
    honoursRetryAfter: false,
    ...rest,
  };
  const recording = generate(all, hooks, clock, simulated.connect);
  clock.run();
  return { ...summarize(await recording, loop), server: simulated, endedAt: clock.now() };
}

const near = (measured: number, expected: number, part = 0.02): void =>
  assert.ok(Math.abs(measured - expected) <= part * expected, `${measured}, expected ${expected}`);

const PAUSE = { from: 4000, to: 5000 };

test('a pause of 1 s is in the latencies of an open loop: those of all requests that were due in it', async () => {
  const { latency, requests, errorRate } = await simulate(open(100), { serviceMs: 1, pause: PAUSE });
  assert.deepEqual([requests, errorRate], [1000, 0]);
  // A tenth of the requests are due in the pause; the first of them waits for all of it, and the median of all for none.
  near(latency.max, 1000, 0.01);
  assert.ok(latency.p99 > 900 && latency.p95 > 500 && latency.p50 < 2, JSON.stringify(latency));
});

test('an open loop with one connection counts the wait for the connection as latency', async () => {
  const one = open(100, 10, { connections: 1 });
  const { latency, connections, waited } = await simulate(one, { serviceMs: 1, pause: PAUSE });
  assert.equal(connections, 1);
  // Those that were due in the pause, and while the first of them were made up for.
  near(waited, 111, 0.05);
  assert.ok(latency.p99 > 900 && latency.p95 > 500, JSON.stringify(latency));
});

test('a closed loop stops sending in the pause, and so does not see it in its 99th percentile', async () => {
  const { latency } = await simulate(closed(1), { serviceMs: 10, pause: PAUSE });
  near(latency.max, 1010, 0.02);
  near(latency.p99, 10);
});

test('at twice the capacity the latency grows with the queue, and the rate is that of the server', async () => {
  const short = await simulate(open(200, 5), { serviceMs: 10 });
  const long = await simulate(open(200, 10), { serviceMs: 10 });
  near(long.rate, 100);
  near(long.offered!, 200);
  assert.ok(long.latency.p99 > 1.8 * short.latency.p99, `${short.latency.p99} and ${long.latency.p99}`);
  assert.equal(long.requests, 2000);
});

test('a closed loop has as many requests in flight as callers: rate = callers / latency', async () => {
  const { rate, latency, connections, offered } = await simulate(closed(8), { serviceMs: 20, workers: 4 });
  near(rate, 200);
  near(latency.p50, 40);
  assert.deepEqual([connections, offered], [8, undefined]);
});

test('steps of a closed loop have latencies of their own', async () => {
  const callers = [1, 4, 2].map((count) => ({ seconds: 4, from: count, to: count }));
  const { parts } = await simulate({ kind: 'closed', callers }, { serviceMs: 10 });
  for (const [i, ms] of [10, 40, 20].entries()) near(parts[i]!.latency.p50, ms, 0.05);
});

test('a ramp of an open loop has its requests where the rate is: a quarter of them in the first half', async () => {
  const rate = [{ seconds: 10, from: 0, to: 200 }];
  const { requests, server } = await simulate({ ...open(1), rate }, { serviceMs: 1 });
  assert.equal(requests, 1000);
  near(server.sentAt.filter((at) => at < 5000).length, 250);
});

test('the warm-up is not measured, and sends at the first level', async () => {
  let begins = 0;
  const hooks = {
    onMeasure: () => {
      begins += 1;
    },
  };
  const { requests, server, latency } = await simulate(
    open(100, 2),
    { serviceMs: 1, pause: { from: 0, to: 900 } },
    { warmupSeconds: 3, hooks },
  );
  assert.deepEqual([requests, server.requests(), begins], [200, 500, 1]);
  assert.ok(latency.max < 2);
});

test('a load ends after the given number of requests, and measures exactly so many', async () => {
  for (const loop of [closed(4), open(100)]) {
    const { requests, server, seconds } = await simulate(loop, { serviceMs: 5 }, { maxRequests: 50 });
    assert.deepEqual([requests, server.requests(), server.open()], [50, 50, 0]);
    assert.ok(seconds < 1, `${loop.kind}: ${seconds}`);
  }
});

test('requests without a response end as timeouts, count as long as they have waited, and do not hold the load', async () => {
  for (const loop of [closed(2, 3), open(10, 3, { connections: 2 })]) {
    const { failures, ok, latency, errorRate, endedAt } = await simulate(
      loop,
      { serviceMs: 1, respond: () => undefined },
      { timeoutMs: 1000 },
    );
    assert.deepEqual([ok, errorRate], [0, 1]);
    assert.ok(failures.timeout! >= 6, `${failures.timeout}`);
    near(latency.p50, 1050, 0.06);
    assert.ok(endedAt < 4500, `${endedAt}`);
  }
});

test('statuses are counted by code, connections that end by kind, and neither counts as a latency', async () => {
  const respond = (nth: number) =>
    nth % 4 === 1
      ? { status: 503 }
      : nth % 4 === 2
        ? { status: 504 }
        : nth % 4 === 3
          ? ('close' as const)
          : { status: 200 };
  const { statuses, failures, latency, ok, errorRate } = await simulate(closed(1, 1), { serviceMs: 10, respond });
  assert.equal(statuses[503], statuses[504]);
  assert.ok(failures.closed! > 10 && ok === statuses[200]);
  near(errorRate, 0.75, 0.05);
  near(latency.max, 10);
});

test('a refusal is final unless Retry-After is honoured: then it is sent again, and its latency begins at its first start', async () => {
  const respond = (nth: number) => (nth % 2 === 0 ? { status: 429, retryAfter: 2 } : { status: 200 });
  const server = { serviceMs: 10, respond };
  const final = await simulate(closed(1, 9), server);
  assert.ok(final.statuses[429]! > 100 && final.retries === 0);
  const honoured = await simulate(closed(1, 9), server, { honoursRetryAfter: true });
  assert.deepEqual([honoured.retries, honoured.ok, honoured.errorRate], [honoured.requests, honoured.requests, 0]);
  assert.equal(honoured.statuses[429], honoured.requests);
  near(honoured.latency.p50, 2020);
  const impatient = await simulate(closed(1, 9), server, { honoursRetryAfter: true, timeoutMs: 1000 });
  assert.equal(impatient.retries, 0);
});

test('a generator that is late says so, and its delay is part of the latencies', async () => {
  const clock = createSimulatedClock();
  const server = createSimulatedServer(clock, { serviceMs: 1 });
  const loop = open(100);
  const options = {
    endpoint: { port: 1 },
    requests: [BYTES],
    loop,
    warmupSeconds: 0,
    maxRequests: 0,
    timeoutMs: 60_000,
    honoursRetryAfter: false,
  };
  const recording = generate(options, {}, clock, server.connect);
  clock.after(3000, () => clock.delay(1000));
  clock.run();
  const { generator, latency } = summarize(await recording, loop);
  assert.equal(generator.kept, false);
  assert.ok(generator.lateP99 > 800 && latency.p95 > 400, JSON.stringify(generator));
  const inTime = await simulate(loop, { serviceMs: 1, pause: PAUSE });
  assert.equal(inTime.generator.kept, true, 'a pause of the server is not a delay of the generator');
});

test('a load that is aborted gives what it has measured, and closes its connections', async () => {
  const controller = new AbortController();
  const clock = createSimulatedClock();
  const server = createSimulatedServer(clock, { serviceMs: 10 });
  const loop = closed(2);
  const options = {
    endpoint: { port: 1 },
    requests: [BYTES],
    loop,
    warmupSeconds: 0,
    maxRequests: 0,
    timeoutMs: 1000,
    honoursRetryAfter: false,
  };
  const recording = generate(options, { signal: controller.signal }, clock, server.connect);
  clock.after(1000, () => controller.abort());
  clock.run();
  const { rate, seconds } = summarize(await recording, loop);
  near(rate, 100);
  assert.deepEqual([seconds, server.open()], [1, 0]);
});

test('requests are sent in turn, and the check of a body knows which one it belongs to', async () => {
  const indices: number[] = [];
  const check = (index: number): string | undefined => {
    indices.push(index);
    return index === 2 ? 'wrong' : undefined;
  };
  const result = await simulate(
    closed(1),
    { serviceMs: 1 },
    { requests: [BYTES, BYTES, BYTES], maxRequests: 7, hooks: { check } },
  );
  assert.deepEqual(indices, [0, 1, 2, 0, 1, 2, 0]);
  assert.deepEqual([result.ok, result.wrong, result.firstWrong], [5, 2, 'wrong']);
});

test('progress tells the phase, and counts what is measured', async () => {
  const phases = new Set<string>();
  let requests = 0;
  const hooks: Hooks = {
    onProgress(progress) {
      phases.add(progress.phase);
      requests = Math.max(requests, progress.requests);
    },
  };
  await simulate(open(10, 2), { serviceMs: 1500, workers: 100 }, { warmupSeconds: 1, hooks });
  assert.deepEqual([...phases], ['warm-up', 'load', 'end']);
  assert.ok(requests > 0 && requests < 20);
});
