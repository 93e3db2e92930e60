import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCgroupReader } from '../../../functions/engine/memory/cgroup-memory.ts';
import { layOut } from '../../helpers/root-folder.ts';

const GIB = 2 ** 30;
const V1_NONE = String(0x7ffffffffffff000n);

test('cgroup v2: limit and use are read, without the pages of files', (t) => {
  const root = layOut(t, {
    'proc/self/cgroup': '0::/app\n',
    'sys/fs/cgroup/app/memory.max': `${GIB}\n`,
    'sys/fs/cgroup/app/memory.current': `${GIB - 1000}\n`,
    'sys/fs/cgroup/app/memory.stat': 'anon 5\ninactive_anon 7\ninactive_file 300\nactive_file 200\nfile 900\n',
  });
  const read = createCgroupReader(root)!;
  assert.deepEqual(read(), { limitBytes: GIB, usedBytes: GIB - 1500 });
  writeFileSync(join(root, 'sys/fs/cgroup/app/memory.max'), `${2 * GIB}\n`);
  assert.equal(read()?.limitBytes, 2 * GIB, 'a limit that is raised counts at once');
  writeFileSync(join(root, 'sys/fs/cgroup/app/memory.max'), 'max\n');
  assert.equal(read(), undefined);
});

test('cgroup v1: limit and use are read, with those of the descendants', (t) => {
  const folder = 'sys/fs/cgroup/memory/docker/abc';
  const root = layOut(t, {
    'proc/self/cgroup': '12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': `${V1_NONE}\n`,
    [`${folder}/memory.limit_in_bytes`]: `${GIB}\n`,
    [`${folder}/memory.usage_in_bytes`]: '5000\n',
    [`${folder}/memory.stat`]: 'inactive_file 1\nactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n',
  });
  assert.deepEqual(createCgroupReader(root)!(), { limitBytes: GIB, usedBytes: 4500 });
});

test("inside a container, where the path is the host's, the mount itself is the group", (t) => {
  const v2 = { 'sys/fs/cgroup/memory.max': `${GIB}\n`, 'sys/fs/cgroup/memory.current': '5000\n' };
  const root = layOut(t, { 'proc/self/cgroup': '0::/kubepods/pod1/abc\n', ...v2 });
  assert.deepEqual(createCgroupReader(root)!(), { limitBytes: GIB, usedBytes: 5000 });
});

test('of nested groups the one with the least free memory counts', (t) => {
  const root = layOut(t, {
    'proc/self/cgroup': '0::/pod/app\n',
    'sys/fs/cgroup/pod/memory.max': '3000\n',
    'sys/fs/cgroup/pod/memory.current': '2900\n',
    'sys/fs/cgroup/pod/app/memory.max': '2000\n',
    'sys/fs/cgroup/pod/app/memory.current': '1500\n',
  });
  assert.deepEqual(createCgroupReader(root)!(), { limitBytes: 3000, usedBytes: 2900 });
});

test('without a limit there is no reader', (t) => {
  const unlimited = [
    {},
    { 'proc/self/cgroup': '0::/\n' },
    { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/memory.max': 'max\n' },
    { 'proc/self/cgroup': '4:memory:/a\n', 'sys/fs/cgroup/memory/a/memory.limit_in_bytes': `${V1_NONE}\n` },
  ];
  for (const files of unlimited) assert.equal(createCgroupReader(layOut(t, files)), undefined);
});
