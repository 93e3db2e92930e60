import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeModel } from './models.ts';

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
