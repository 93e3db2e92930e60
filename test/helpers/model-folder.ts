import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endless, writeModel } from './models.ts';

let root: string | undefined;

/** A model's folder, for MODEL_URI. It goes when the test process ends. */
export function modelFolder(name: string, bytes: Uint8Array, manifest?: object): string {
  if (root === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'contract-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    root = made;
  }
  return writeModel(root, name, bytes, manifest);
}

/** The folder of `endless`. Its example keeps the trial of its rows from running one that never ends. */
export function endlessFolder(): string {
  return modelFolder('endless', endless(), { example: { features: [-1] }, batching: true });
}
