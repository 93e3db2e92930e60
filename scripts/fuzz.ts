/** `npm run fuzz`: sends almost valid bodies to the production server, and checks every response against the contract. */
import { treePss } from './bench/memory.ts';
import { readCommandLine, refuseUsage } from './command-line.ts';
import { exchange } from './conformance/http.ts';
import { createTally, describeFailure, sendAlone, sendBodies, type Tally } from './fuzz/run.ts';
import { isReady, readSignatures, startFuzzed } from './fuzz/server.ts';
import { watchStalls } from './fuzz/stalls.ts';

const USAGE = `npm run fuzz: sends almost valid bodies to the production server, and checks every response.

Usage: npm run fuzz [-- OPTIONS]

  --seed N        seed of the random numbers; default: 1
  --count N       number of bodies; default: 50000
  --server FILE   the server's build; default: dist/server.js

Examples:
  npm run build && npm run fuzz
  npm run fuzz -- --seed 7 --count 5000

Exit code: 1 if a response was wrong.`;

const { values } = readCommandLine(USAGE, {
  seed: { type: 'string', default: '1' },
  count: { type: 'string', default: '50000' },
  server: { type: 'string', default: 'dist/server.js' },
});
const [seed, count] = [Number(values.seed), Number(values.count)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1)
  refuseUsage('--seed and --count take integers, --count one above 0');

/** Longest duration of a run, in milliseconds. */
const BOUND_MS = 60_000 + count * 20;
/** Growth of the memory that is no fault: the larger of the two. */
const LEVEL_MB = 10;
const LEVEL_SHARE = 0.1;
/** A server fills its pools in the first 10,000 bodies or so: in a shorter run, growth in the last two thirds is printed, and is no failure. */
const JUDGED_COUNT = 30_000;
const IRIS_ROW = '{"features":[5.1,3.5,1.4,0.2]}';

function print(tally: Tally): void {
  for (const [dialect, statuses] of [...tally.statuses].sort()) {
    const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, times]) => `${status}: ${times}`);
    console.log(`  ${dialect.padEnd(18)}${counts.join('  ')}`);
  }
  console.log(`  sent again on a new connection: ${tally.resent}`);
}

async function main(): Promise<number> {
  const server = await startFuzzed(values.server);
  const faults: string[] = [];
  try {
    const models = await readSignatures(server.url);
    const ask = () =>
      exchange(
        server.url,
        { method: 'POST', path: '/predict', headers: { 'Content-Type': 'application/json' }, body: IRIS_ROW },
        10_000,
      );
    const known = await ask();
    if (known.status !== 200) throw new Error(`the known row was answered with ${known.status} ${known.text}`);
    const tally = createTally();
    const start = performance.now();
    const until = start + BOUND_MS;
    const third = Math.ceil(count / 3);
    const stalls = watchStalls(server.url);
    await sendBodies(server.url, models, { seed, from: 0, to: third, until }, tally);
    const before = treePss(server.pid);
    await sendBodies(server.url, models, { seed, from: third, to: count, until }, tally);
    const after = treePss(server.pid);
    console.log(`seed ${seed}: ${count} bodies in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    const { worstMs, p99Ms } = await stalls.stop();
    print(tally);
    console.log(`  /health/live: 99 of 100 within ${p99Ms.toFixed(0)} ms, all within ${worstMs.toFixed(0)} ms`);
    console.log(`  memory: ${before.toFixed(1)} MB after a third, ${after.toFixed(1)} MB at the end`);
    faults.push(...tally.failures.map((failure) => describeFailure(seed, failure)));
    faults.push(...(await sendAlone(server.url, tally.lone, models)));
    console.log(`  values: ${tally.compared} answers compared, ${tally.lone.length} rows sent again, alone`);
    if (count < JUDGED_COUNT) console.log(`  memory is not judged in a run of fewer than ${JUDGED_COUNT} bodies`);
    else if (after - before > Math.max(LEVEL_MB, before * LEVEL_SHARE)) faults.push('the memory is not level');
    if (!(await isReady(server.url))) faults.push('/ready is not 200 after the run');
    const last = await ask();
    if (last.status !== 200 || last.text !== known.text)
      faults.push(`the known row was ${known.text} before the run, and ${last.status} ${last.text} after it`);
    if (faults.length > 0) faults.push(`the server wrote:\n${server.written()}`);
  } finally {
    await server.stop();
  }
  console.log(faults.length === 0 ? 'no failures' : faults.join('\n'));
  return faults.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
