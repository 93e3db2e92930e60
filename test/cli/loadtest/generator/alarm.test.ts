import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Alarm, createAlarm } from '../../../../functions/cli/loadtest/generator/alarm.ts';
import { type Clock, MACHINE_CLOCK } from '../../../../functions/cli/loadtest/generator/clock.ts';
import { requestBytes } from '../../../../functions/cli/loadtest/http/request.ts';
import { runLoad } from '../../../../functions/cli/loadtest/run-load.ts';

/** An alarm whose thread runs: it does not use the timers any more. */
async function start(t: TestContext): Promise<Alarm> {
  let timers = 0;
  const after: Clock['after'] = (ms, call) => {
    timers += 1;
    return MACHINE_CLOCK.after(ms, call);
  };
  const alarm = createAlarm({ ...MACHINE_CLOCK, after });
  t.after(alarm.close);
  for (let before = -1; before !== timers; ) {
    before = timers;
    await new Promise<void>((resolve) => alarm.after(1, resolve));
  }
  return alarm;
}

test('an alarm rings, in place of the one that was set before, unless it is cancelled', async (t) => {
  const alarm = await start(t);
  const rung: string[] = [];
  alarm.after(1, () => rung.push('replaced'));
  await new Promise<void>((resolve) => alarm.after(5, resolve));
  const cancel = alarm.after(1, () => rung.push('cancelled'));
  cancel();
  await new Promise<void>((resolve) => alarm.after(5, resolve));
  assert.deepEqual(rung, []);
});

test('an open loop on a real server sends each request once, in its time, and ends with its threads', async (t) => {
  let requests = 0;
  const server = createServer((req, res) => {
    requests += 1;
    req.resume();
    res.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const rate = [{ seconds: 0.5, from: 400, to: 400 }];
  const result = await runLoad({
    endpoint: { port },
    requests: [requestBytes('POST', '/', '{}')],
    loop: { kind: 'open', rate, arrivals: 'constant', connections: 50, seed: 1 },
    warmupSeconds: 0,
  });
  assert.deepEqual([result.requests, result.ok, requests], [200, 200, 200]);
});
