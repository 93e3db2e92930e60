import { readFileSync } from 'node:fs';

export const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** A fenced block: its language and its text, without the fences. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

/** What stands under a heading of the second level, to the next one. Throws an Error where there is none. */
export function section(title: string, text = README): string {
  const lines = text.split('\n');
  const from = lines.indexOf(`## ${title}`);
  if (from === -1) throw new Error(`README has no section "${title}"`);
  const length = lines.slice(from + 1).findIndex((line) => line.startsWith('## '));
  return lines.slice(from + 1, length === -1 ? undefined : from + 1 + length).join('\n');
}

/** The fenced blocks of a text, in order. */
export function blocks(text: string): Block[] {
  return Array.from(text.matchAll(/^```(\w*)\n(.*?)^```$/gms), ([, language, inner]) => ({
    language: language!,
    text: inner!,
  }));
}

/** The cells of the table whose first column is headed `head`, row by row, without the head. */
export function table(text: string, head: string): string[][] {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.startsWith('|') && cells(line)[0] === head);
  if (from === -1) throw new Error(`README has no table that begins with "${head}"`);
  const length = lines.slice(from).findIndex((line) => !line.startsWith('|'));
  return lines.slice(from + 2, length === -1 ? undefined : from + length).map(cells);
}

function cells(row: string): string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}
