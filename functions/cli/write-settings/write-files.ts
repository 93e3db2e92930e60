import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { printable } from '../terminal/format.ts';
import type { PlannedFile } from './settings.ts';

/** Writes the files that have changes: each is replaced at once, so that there is never half a file. */
export function writeFiles(files: readonly PlannedFile[]): void {
  for (const { path, text, changes } of files) {
    if (changes.length === 0) continue;
    const unfinished = `${path}.${process.pid}.tmp`;
    try {
      const mode = statSync(path, { throwIfNoEntry: false })?.mode;
      writeFileSync(unfinished, text, mode === undefined ? {} : { mode });
      renameSync(unfinished, path);
    } finally {
      rmSync(unfinished, { force: true });
    }
  }
}

/** What was or would be changed, a line for each file and each value. */
export function describeFiles(files: readonly PlannedFile[]): string[] {
  return files.flatMap(({ path, changes }) => {
    if (changes.length === 0) return [`${printable(path)}: nothing to change`];
    const lines = changes.map(({ place, from, to }) => `  ${place}: ${from === undefined ? '' : `${from} -> `}${to}`);
    return [printable(path), ...lines.map(printable)];
  });
}
