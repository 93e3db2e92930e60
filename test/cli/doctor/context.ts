import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type DoctorOptions, runDoctor } from '../../../functions/cli/doctor/doctor.ts';
import { PLAIN } from '../../../functions/cli/terminal/styles.ts';

/** What `--json` prints, as far as tests read it. */
export interface Document {
  readonly serves: boolean;
  readonly models: readonly {
    readonly name: string;
    readonly version: string;
    readonly place: string;
    readonly lower_versions: readonly string[];
    readonly serves: boolean;
    readonly findings: readonly {
      readonly level: string;
      readonly kind: string;
      readonly problem: string;
      readonly fix?: string;
    }[];
    readonly bytes: number;
    readonly file?: {
      readonly parameters: number;
      readonly producer: string;
      readonly operators: Record<string, number>;
      readonly opsets: Record<string, number>;
    };
    readonly inputs?: readonly { readonly name: string; readonly dtype: string }[];
    readonly preparation?: Readonly<Record<string, unknown>>;
    readonly batching?: { readonly enabled: boolean; readonly decided_by: string; readonly reason: string };
    readonly measured?: {
      readonly load_ms: number;
      readonly runs: readonly { readonly rows: number }[];
      readonly memory: { readonly privateBytes: number };
      readonly best_batch: number;
    };
    readonly dollars_per_million?: { readonly rate: number; readonly alone: number; readonly cloudRunRequests: number };
  }[];
  readonly cloud_run?: {
    readonly cpu: number;
    readonly memory_bytes: number;
    readonly concurrency: number;
    readonly processes: number;
    readonly threads: number;
  };
  readonly ignored: readonly string[];
  readonly written: readonly { readonly path: string; readonly changes: readonly { readonly place: string }[] }[];
  readonly notes: readonly string[];
}

/** Runs the verb's work without a terminal. Nothing is measured unless the options say so. */
export async function doctor(uri: string, options: Partial<DoctorOptions> = {}) {
  const ends: (() => unknown)[] = [];
  const steps: string[] = [];
  const nothing = (): void => {};
  try {
    const outcome = await runDoctor(
      uri,
      { threads: 1, measure: false, budgetMs: 5, ...options },
      {
        progress: { step: (title) => void steps.push(title), update: nothing, note: nothing, end: nothing },
        styles: PLAIN,
        signal: new AbortController().signal,
        note: nothing,
        onEnd: (end) => void ends.push(end),
        wrongUsage(line) {
          throw new Error(line);
        },
      },
    );
    const json = JSON.parse(JSON.stringify(outcome.json)) as Document;
    return { json, lines: outcome.lines, isGood: outcome.isGood, steps };
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** A folder with these files, for one test. */
export function folderOf(t: TestContext, files: Readonly<Record<string, Uint8Array | string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}
