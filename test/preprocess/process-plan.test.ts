import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planProcesses } from '../../functions/preprocess/process-plan.ts';
import { picturePreparation } from '../helpers/picture-model.ts';
import { preparationOf } from '../helpers/text-models.ts';

const MIB = 2 ** 20;
const picture = picturePreparation('image-classifier-resnet');

test('models of pictures share the CPUs and the memory: each has a process at least', () => {
  const capacity = { cpus: 8, memoryBytes: 8 * 2 ** 30 };
  const processes = (models: number): number => planProcesses(picture, capacity, models).processes;
  assert.deepEqual([1, 2, 4, 8, 50].map(processes), [4, 4, 2, 1, 1]);
  assert.equal(planProcesses(picture, { ...capacity, cpus: 2 }, 1).processes, 2);
  assert.equal(planProcesses(picture, { ...capacity, memoryBytes: 2 ** 30 }, 1).processes, 1);
});

test('each process that decodes pictures is planned with memory for one of 12 million pixels', () => {
  const { processes, bytes } = planProcesses(picture, { cpus: 2, memoryBytes: undefined }, 1);
  assert.equal(processes, 2);
  // Measured: 34 MiB idle, 64 MiB after photographs of 12 million pixels.
  assert.ok(bytes / processes >= 64 * MIB && bytes / processes <= 128 * MIB);
});

test('a process that tokenizes is planned with memory for its vocabulary', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'process-plan-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const tokenizer = join(folder, 'tokenizer.json');
  writeFileSync(tokenizer, Buffer.alloc(6 * MIB));
  const capacity = { cpus: 4, memoryBytes: undefined };
  const [small, large] = [
    preparationOf('text-classifier'),
    preparationOf('text-classifier', { preparation: { tokenizer } }),
  ].map((one) => planProcesses(one, capacity, 1));
  assert.deepEqual([small!.processes, large!.processes], [1, 1]);
  // Measured: 31 MiB, and 164 MiB with a vocabulary of 250,000 in a file of 6 MiB.
  assert.ok(small!.bytes >= 31 * MIB && small!.bytes <= 64 * MIB);
  assert.ok(large!.bytes >= 130 * MIB && large!.bytes <= 256 * MIB);
  const twoTokenizers = planProcesses(preparationOf('text-classifier'), { ...capacity, cpus: 8 }, 1);
  assert.deepEqual(twoTokenizers, { processes: 2, bytes: 2 * small!.bytes });
  assert.equal(planProcesses(preparationOf('text-classifier'), { ...capacity, cpus: 8 }, 2).processes, 1);
});

test('a tokenizer.json that is gone is left to the process that loads it', () => {
  const gone = preparationOf('text-classifier', { preparation: { tokenizer: '/nowhere/tokenizer.json' } });
  assert.equal(planProcesses(gone, { cpus: 1, memoryBytes: undefined }, 1).processes, 1);
});
