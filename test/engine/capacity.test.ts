import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import {
  cpuQuota,
  engineBytes,
  engineCount,
  furtherEngineBytes,
  measureCapacity,
  packedEngineBytes,
} from '../../functions/engine/capacity.ts';
import { layOut } from '../helpers/root-folder.ts';

const V1_GROUPS = (path: string): string =>
  ['12:memory:/mem', `4:cpu,cpuacct:${path}`, '3:cpuset:/set', '1:name=systemd:/s', '0::/unified', ''].join('\n');

const QUOTAS: [title: string, cpus: number | undefined, quotaUs: number | 'max', periodUs: number][] = [
  ['half a CPU', 0.5, 50_000, 100_000],
  ['one CPU', 1, 100_000, 100_000],
  ['one and a half', 1.5, 150_000, 100_000],
  ['two, of another period', 2, 20_000, 10_000],
  ['no limit', undefined, 'max', 100_000],
];

for (const [title, cpus, quota, period] of QUOTAS) {
  test(`cgroup v2: a quota of ${title} is read`, (t) => {
    const files = { 'proc/self/cgroup': '0::/app\n', 'sys/fs/cgroup/app/cpu.max': `${quota} ${period}\n` };
    assert.equal(cpuQuota(layOut(t, files)), cpus);
  });

  test(`cgroup v1: a quota of ${title} is read`, (t) => {
    const folder = 'sys/fs/cgroup/cpu,cpuacct/app';
    const files = {
      'proc/self/cgroup': V1_GROUPS('/app'),
      [`${folder}/cpu.cfs_quota_us`]: `${quota === 'max' ? -1 : quota}\n`,
      [`${folder}/cpu.cfs_period_us`]: `${period}\n`,
    };
    assert.equal(cpuQuota(layOut(t, files)), cpus);
  });
}

test('the least quota of the nested groups counts, under cgroup v2 and v1', (t) => {
  const v2 = {
    'proc/self/cgroup': '0::/pod/app/inner\n',
    'sys/fs/cgroup/pod/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/pod/app/cpu.max': '400000 100000\n',
    'sys/fs/cgroup/pod/app/inner/cpu.max': 'max 100000\n',
  };
  assert.equal(cpuQuota(layOut(t, v2)), 1.5);
  const folder = 'sys/fs/cgroup/cpu,cpuacct';
  const v1 = {
    'proc/self/cgroup': V1_GROUPS('/pod/app'),
    [`${folder}/cpu.cfs_quota_us`]: '-1\n',
    [`${folder}/cpu.cfs_period_us`]: '100000\n',
    [`${folder}/pod/cpu.cfs_quota_us`]: '300000\n',
    [`${folder}/pod/cpu.cfs_period_us`]: '100000\n',
    [`${folder}/pod/app/cpu.cfs_quota_us`]: '50000\n',
    [`${folder}/pod/app/cpu.cfs_period_us`]: '100000\n',
  };
  assert.equal(cpuQuota(layOut(t, v1)), 0.5);
});

test("inside a container, where the path is the host's, the mount itself is the group", (t) => {
  const v2 = { 'proc/self/cgroup': '0::/kubepods/pod1/abc\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' };
  assert.equal(cpuQuota(layOut(t, v2)), 0.5);
  const v1 = {
    'proc/self/cgroup': V1_GROUPS('/docker/0123abc'),
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  };
  assert.equal(cpuQuota(layOut(t, v1)), 1);
});

test('a machine without cgroups has no quota', (t) => {
  assert.equal(cpuQuota(layOut(t, {})), undefined);
  assert.equal(cpuQuota(layOut(t, { 'proc/self/cgroup': '0::/\n' })), undefined);
});

test("the capacity is never more than the machine's CPUs, and follows a smaller quota", (t) => {
  const root = (quota: number): string =>
    layOut(t, { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': `${quota} 100000\n` });
  assert.equal(measureCapacity(root(50_000)).cpus, 0.5);
  assert.equal(measureCapacity(root(100_000_000)).cpus, availableParallelism());
  assert.equal(measureCapacity(layOut(t, {})).cpus, availableParallelism());
});

const GIB = 2 ** 30;
const COUNTS: [
  title: string,
  cpus: number,
  memory: number | undefined,
  model: number,
  threads: number,
  count: number,
][] = [
  ['one for each CPU', 4, undefined, 1000, 1, 4],
  ['a fraction of a CPU remains for the server', 2.5, undefined, 1000, 1, 2],
  ['one if there is less than a CPU', 0.5, undefined, 1000, 1, 1],
  ['fewer with several threads each', 8, undefined, 1000, 4, 2],
  ['one if there are more threads than CPUs', 2, undefined, 1000, 4, 1],
  ['those that fit into 512 MiB: 128 for the server, 72 for each engine', 16, GIB / 2, 0, 1, 5],
  ['a model counts twice: 72 + 2 × 100 MiB each', 16, GIB, 100 * 2 ** 20, 1, 3],
  ['one though it does not fit', 4, GIB / 8, GIB, 1, 1],
  ['as many as CPUs if there is enough memory', 2, 64 * GIB, 1000, 1, 2],
];

for (const [title, cpus, memoryBytes, modelBytes, threads, count] of COUNTS) {
  test(`engine processes: ${title}`, () => {
    assert.equal(engineCount({ cpus, memoryBytes }, modelBytes, threads), count);
  });
}

test('weights that are mapped and packed count 1.25 times, and never more than those that are copied', () => {
  assert.equal(packedEngineBytes(0), engineBytes(0));
  assert.equal(packedEngineBytes(GIB, 1000), engineBytes(1000) + 1.25 * GIB);
  assert.ok(packedEngineBytes(GIB) < engineBytes(GIB));
});

test('a further engine counts at least what an engine without a model does, and what the first one takes', () => {
  const empty = engineBytes(0);
  assert.equal(furtherEngineBytes(0), empty);
  assert.equal(furtherEngineBytes(40 * 2 ** 20), empty);
  for (const own of [100 * 2 ** 20, GIB, 8 * GIB]) {
    assert.ok(furtherEngineBytes(own) > own);
    assert.ok(furtherEngineBytes(own) < 1.1 * own + empty);
  }
});
