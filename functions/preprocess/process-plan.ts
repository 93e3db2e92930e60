import { statSync } from 'node:fs';
import { type Capacity, cpuShare } from '../engine/capacity.ts';
import type { Preparation } from '../engine/prepared/preparation.ts';
import { planPictures } from './process/picture-order.ts';

/** The processes that prepare a model's inputs, and their memory. */
export interface ProcessPlan {
  readonly processes: number;
  /** Bytes of all of them, without the pages of files. */
  readonly bytes: number;
}

/** Measured: 34 MiB idle; 57 and 64 MiB after photographs of 1.5 and 12 million pixels. */
const PICTURE_BYTES = 72 * 2 ** 20;
/** Measured without a vocabulary: 31 MiB idle, 39 MiB after texts of 1000 characters. */
const TEXT_BYTES = 40 * 2 ** 20;
/** Bytes for each of `tokenizer.json`. Measured: 21 to 25 with a vocabulary of 30,000 or 250,000, which has two tables. */
const VOCABULARY_FACTOR = 22;
/** From so many CPUs on, there are two processes. One makes half a million tokens a second, and takes a CPU for it. */
const CPUS_OF_TWO = 8;

/** The memory of a process that runs the code of a model's author, whose objects may take more. */
const CODE_BYTES = 64 * 2 ** 20;
/** CPUs for each process that runs such code. */
const CPUS_OF_CODE = 2;

/** @param models that share the CPUs and the memory */
export function planProcesses(preparation: Preparation, capacity: Capacity, models: number): ProcessPlan {
  const { cpus, memoryBytes } = capacity;
  if (preparation.kind === 'picture') {
    const share = { cpus: cpus / models, memoryBytes: memoryBytes && memoryBytes / models };
    const { processes } = planPictures(share);
    return { processes, bytes: processes * PICTURE_BYTES };
  }
  if (preparation.kind === 'code') {
    const processes = Math.max(1, cpuShare({ cpus: cpus / models, memoryBytes }, CPUS_OF_CODE));
    return { processes, bytes: processes * CODE_BYTES };
  }
  const processes = cpus / models >= CPUS_OF_TWO ? 2 : 1;
  // A file that is gone fails the load with its name.
  const size = statSync(preparation.tokenizer, { throwIfNoEntry: false })?.size ?? 0;
  return { processes, bytes: processes * (TEXT_BYTES + VOCABULARY_FACTOR * size) };
}
