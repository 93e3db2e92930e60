import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { canMeasureMemory, parsePss, treePss } from '../../../scripts/bench/memory.ts';
import { processTree } from '../../../scripts/process-tree.ts';

const ROLLUP = `55d0c8b6f000-7ffd3a5e5000 ---p 00000000 00:00 0                          [rollup]
Rss:              105556 kB
Pss:               50000 kB
Pss_Dirty:         33928 kB
`;

test('PSS is read from smaps_rollup, and a MB is a million bytes', () => {
  assert.equal(parsePss(ROLLUP), 51.2);
  assert.throws(() => parsePss('Rss: 1 kB\n'), /no Pss/);
});

test('the tree of a process holds its children and their children, and its memory theirs', async () => {
  const grandchild = `setInterval(() => {}, 1000); console.log('up')`;
  const child = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}], { stdio: 'inherit' })`;
  const parent = spawn(process.execPath, ['-e', child], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(parent.stdout, 'data');
  const tree = processTree(parent.pid!);
  try {
    assert.equal(tree.length, 2);
    assert.equal(tree[0], parent.pid);
    assert.deepEqual(processTree(tree[1]!), [tree[1]]);
    assert.ok(processTree(process.pid).includes(tree[1]!));
    if (canMeasureMemory) assert.ok(treePss(parent.pid!) > treePss(tree[1]!));
  } finally {
    for (const pid of tree) process.kill(pid, 'SIGKILL');
  }
});
