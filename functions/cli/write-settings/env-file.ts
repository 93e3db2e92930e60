import { readFileSync } from 'node:fs';
import type { Change, PlannedFile } from './settings.ts';

/** Sets variables of a file of `NAME=value` lines, as Kustomize reads it. Comments and other lines stay; new ones are added at the end. */
export function setVariables(path: string, variables: Readonly<Record<string, string | undefined>>): PlannedFile {
  const text = readFileSync(path, 'utf8');
  const lines = text.split('\n');
  const changes: Change[] = [];
  for (const [name, to] of Object.entries(variables)) {
    if (to === undefined) continue;
    const at = lines.findIndex((line) => line.startsWith(`${name}=`));
    const from = at === -1 ? undefined : lines[at]!.slice(name.length + 1);
    if (from === to) continue;
    changes.push({ place: name, from, to });
    if (at !== -1) lines[at] = `${name}=${to}`;
    // Before the end of the last line.
    else lines.splice(lines.at(-1) === '' ? -1 : lines.length, 0, `${name}=${to}`);
  }
  return { path, text: lines.join('\n'), changes };
}
