import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { type StorageServer, startStorage } from '../../../test/helpers/storage-server.ts';
import { processTree } from '../../process-tree.ts';
import { closedLoop, runFor } from '../clients/load.ts';
import { openSocket } from '../clients/sockets.ts';
import { endByTerm } from '../end.ts';
import type { Chaos, Fault } from '../fault.ts';
import { countStatuses, isServed, isWrong, type Sample } from '../figures.ts';
import { ECHO, echoWork } from '../models.ts';
import { openHandles, type Target } from '../target.ts';

const BUCKET = 'chaos';
const CONNECTIONS = 4;
const SOCKETS = 300;
const REPORTED_MS = 30_000;
const EVERY_MS = 100;
const SPARE_DESCRIPTORS = 4;

export const lostDependencies: Fault = {
  name: 'lost-dependencies',
  title: 'the bucket and Redis are gone, no file descriptors, the whole process tree is stopped',
  async run(chaos) {
    await loseBucket(chaos);
    const target = await chaos.shared();
    await loseDescriptors(chaos, target);
    await stopTree(chaos, target);
  },
};

const loadFor = (target: Target, seconds: number): Promise<readonly Sample[]> =>
  runFor(closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() }), seconds);

async function loseBucket(chaos: Chaos): Promise<void> {
  const storage = await startStorage();
  const redis = await startRedisIfInstalled();
  try {
    storage.put(BUCKET, 'm/1/model.onnx', readFileSync(join(chaos.models, ECHO, '1/model.onnx')));
    const target = await chaos.start({
      env: {
        STORAGE_EMULATOR_HOST: storage.url,
        MODEL_URI: `gs://${BUCKET}/m`,
        MODEL_REFRESH_SECONDS: '1',
        SHUTDOWN_GRACE_MS: chaos.sharedEnv.SHUTDOWN_GRACE_MS,
        ...(redis !== undefined && { REDIS_URL: redis.url }),
      },
    });
    await reportLoss(chaos, target, storage, redis);
  } finally {
    await storage.close().catch(() => {});
    await redis?.close();
  }
}

async function reportLoss(
  chaos: Chaos,
  target: Target,
  storage: StorageServer,
  redis: RedisServer | undefined,
): Promise<void> {
  const written = target.lines.length;
  redis?.kill();
  await storage.close();
  const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() });
  const lines = (): string[] => target.lines.slice(written).filter((line) => line.includes('could not list'));
  // A refresh gives up after some attempts.
  const end = performance.now() + REPORTED_MS;
  while (lines().length === 0 && performance.now() < end) await sleep(EVERY_MS);
  await sleep(chaos.scale(10_000, 0));
  const samples = await load.stop();
  const what = redis === undefined ? 'the bucket is' : 'the bucket and Redis are';
  chaos.holds(`${what} gone: each request is served`, samples.every(isServed), countStatuses(samples));
  chaos.holds('and the log says so', lines().length > 0, `${lines().length} lines`);
  await endByTerm(chaos, target, 'SIGTERM meanwhile', Number(chaos.sharedEnv.SHUTDOWN_GRACE_MS));
}

async function startRedisIfInstalled(): Promise<RedisServer | undefined> {
  return spawnSync('redis-server', ['--version']).error === undefined ? startRedis() : undefined;
}

async function loseDescriptors(chaos: Chaos, target: Target): Promise<void> {
  const bar = 'no file descriptors: clients that are connected are served';
  const limit = (soft: number | string): boolean =>
    spawnSync('prlimit', [`--pid=${target.pid}`, `--nofile=${soft}:`]).status === 0;
  const before = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${target.pid}/limits`, 'latin1'))?.[1];
  const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() });
  await sleep(500);
  if (before === undefined || !limit(openHandles(target.pid) + SPARE_DESCRIPTORS)) {
    await load.stop();
    chaos.skips(bar, 'prlimit is missing');
    return;
  }
  const sockets = Array.from({ length: SOCKETS }, () => openSocket(target.port));
  await sleep(chaos.scale(5000, 1000));
  for (const socket of sockets) socket.destroy();
  limit(before);
  const samples = await load.stop();
  chaos.holds(bar, samples.every(isServed), countStatuses(samples));
  const after = await loadFor(target, 1);
  chaos.holds('and new ones afterwards', after.length > 0 && after.every(isServed), countStatuses(after));
}

async function stopTree(chaos: Chaos, target: Target): Promise<void> {
  const load = closedLoop({ port: target.port, connections: CONNECTIONS, make: echoWork() });
  await sleep(500);
  const pids = processTree(target.pid);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await sleep(chaos.scale(5000, 1500));
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  await sleep(1000);
  const samples = await load.stop();
  const failed = samples.filter((sample) => !isServed(sample));
  const isBounded = failed.length <= CONNECTIONS && !samples.some(isWrong);
  chaos.holds('SIGSTOP, then SIGCONT: at most the requests in flight fail', isBounded, countStatuses(samples));
  const after = await loadFor(target, 1);
  chaos.holds('predictions come back', after.length > 0 && after.every(isServed), countStatuses(after));
}
