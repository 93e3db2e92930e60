import { setTimeout as sleep } from 'node:timers/promises';
import { type Check, type Context, type Part, Wrong } from '../check.ts';
import { expect, expectEqual, expectError } from '../expect.ts';
import { IDENTITY, SLOW, TABLE, TABLE_SIZE } from '../fixture.ts';
import { createAgent } from '../http.ts';
import { encodingsOf, infer, inferPath, jsonTensor, readOnly, readTensors, show } from '../infer-call.ts';

const REQUESTS = 100;
const POISONED = 37;
/** Duration of the request during which the signal is sent, in milliseconds. */
const SLOW_MS = 2_000;
/** The request has arrived within this time. */
const ARRIVED_MS = 400;
const END_MS = 15_000;

async function checkCrossTalk(context: Context, part: Part): Promise<void> {
  for (const encoding of await encodingsOf(context)) {
    await part(`${REQUESTS} at once, ${encoding}`, async () => {
      const one = async (i: number): Promise<void> => {
        // Batches of different sizes, as from different callers.
        const rows = 1 + (i % 3);
        const data = BigInt64Array.from({ length: 2 * rows }, (_, at) => BigInt(i * 1000 + at));
        const x = { datatype: 'INT64', shape: [rows, 2], data } as const;
        const answer = await infer(context, encoding, inferPath(IDENTITY.INT64), { x }, { id: `r${i}` });
        const { id } = readTensors(answer);
        expectEqual([id, readOnly(answer).data], [`r${i}`, data], `the answer of request ${i}`);
      };
      await Promise.all(Array.from({ length: REQUESTS }, (_, i) => one(i)));
    });
    await part(`one that fails in the model, ${encoding}`, async () => {
      const one = async (i: number): Promise<void> => {
        const index = i === POISONED ? 10 * TABLE_SIZE : i;
        const x = { datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(BigInt(index)) } as const;
        const answer = await infer(context, encoding, inferPath(TABLE), { x });
        if (i === POISONED) expectError(answer, [400, 422, 500]);
        else expectEqual(readOnly(answer).data, Float32Array.of(2 * i), `the answer of request ${i}`);
      };
      await Promise.all(Array.from({ length: REQUESTS }, (_, i) => one(i)));
    });
  }
}

const slowBody = (units: number): string =>
  JSON.stringify({ inputs: [jsonTensor('x', { datatype: 'FP32', shape: [1, 1], data: Float32Array.of(units) })] });

async function checkTermination(context: Context, part: Part): Promise<void> {
  const { send, url } = context;
  const pid = context.pid!;
  const [busy, other] = [createAgent(url), createAgent(url)];
  const headers = { 'Content-Type': 'application/json' };
  const ask = (units: number, agent = busy) =>
    send({ method: 'POST', path: inferPath(SLOW), headers, body: slowBody(units), agent });
  try {
    const unit = await timeUnit(ask);
    // Both are connected before the signal: a server may accept no connections after it.
    await ask(0, other);
    const start = async (units: number) => {
      const run = { over: false, settled: settle(ask(units)) };
      void run.settled.then(() => {
        run.over = true;
      });
      await sleep(ARRIVED_MS);
      return run;
    };
    let units = Math.ceil(SLOW_MS / unit);
    let running = await start(units);
    // A machine that was busy while a unit was timed may be faster now.
    for (let tries = 0; running.over && tries < 4; tries++) {
      units *= 4;
      running = await start(units);
    }
    process.kill(pid, 'SIGTERM');
    await part('a new request, on a connection that was open', async () => {
      const answer = await firstRefusal(() => ask(0, other));
      expectError(answer, 503);
      expectEqual(answer.headers.connection?.toLowerCase(), 'close', 'Connection');
    });
    await part('the request under way', async () => {
      const result = await running.settled;
      if ('error' in result) throw new Wrong(`expected 200, got ${result.error.message}`);
      expect(result.answer.status === 200, `expected 200, got ${show(result.answer)}`);
    });
    await part('the end of the process', async () => {
      const end = performance.now() + END_MS;
      while (isAlive(pid)) {
        expect(performance.now() < end, `it was still there ${END_MS} ms later`);
        await sleep(20);
      }
    });
  } finally {
    busy.destroy();
    other.destroy();
  }
}

const settle = (answer: ReturnType<Context['send']>) =>
  answer.then(
    (whole) => ({ answer: whole }),
    (error: Error) => ({ error }),
  );

/** Milliseconds of a unit of the slow model on this machine. */
async function timeUnit(ask: (units: number) => Promise<unknown>): Promise<number> {
  const time = async (units: number): Promise<number> => {
    const started = performance.now();
    await ask(units);
    return performance.now() - started;
  };
  await ask(1);
  for (let units = 25; ; units *= 4) {
    const ms = await time(units);
    // The minimum of three: other work of the machine only adds to it.
    if (ms > 50) return Math.min(ms, await time(units), await time(units)) / units;
  }
}

/** The signal may take a moment to arrive: a response of 200 was sent before it. */
async function firstRefusal(ask: () => ReturnType<Context['send']>): ReturnType<Context['send']> {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (answer.status !== 200 || tries === 20) return answer;
    await sleep(20);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Checks of concurrent requests and of the shutdown. They must be last: the server ends. */
export const LOAD_CHECKS: readonly Check[] = [
  {
    number: 30,
    title: `${REQUESTS} requests at once get their own answers, and one that fails fails alone`,
    needs: ['fixture'],
    run: checkCrossTalk,
  },
  {
    number: 31,
    title: 'SIGTERM in the middle of a request: it is answered, new ones are 503 with Connection: close',
    needs: ['fixture', 'pid'],
    run: checkTermination,
  },
];
