/** The thread of an alarm: it sleeps in place of the thread that sends. `createAlarm` starts it. */
import { parentPort, workerData } from 'node:worker_threads';

const [version, waitMs] = workerData as [Int32Array, Float64Array];

for (let seen = 0; ; ) {
  Atomics.wait(version, 0, seen);
  seen = Atomics.load(version, 0);
  const ms = waitMs[0]!;
  // A negative delay ends the thread.
  if (ms < 0) break;
  if (Atomics.wait(version, 0, seen, ms) === 'timed-out') parentPort!.postMessage(seen);
}
