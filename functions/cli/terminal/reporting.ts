import type { Command } from 'commander';
import { EXIT } from '../verb.ts';
import { errorLine } from './error-line.ts';
import { printable } from './format.ts';
import { createProgress, type Progress } from './progress.ts';
import { createStyles, PLAIN, type Styles } from './styles.ts';

/** What a verb prints when it has done its work. */
export interface Outcome {
  /** For a person: lines of stdout. */
  readonly lines: readonly string[];
  /** For a machine, with `--json`: the one document of stdout. */
  readonly json: unknown;
  /** Whether the answer is yes: exit code 0, else 1. Default: true. */
  readonly isGood?: boolean;
}

/** What the work of a verb has beside its own options. */
export interface VerbContext {
  readonly progress: Progress;
  /** The styles of stdout. They do nothing with `--json`. */
  readonly styles: Styles;
  /** Aborted by Ctrl-C and SIGTERM. The work should end then: it is given {@link GRACE_MS} before the program exits. */
  readonly signal: AbortSignal;
  /** Writes a line to stderr, above the bar. */
  note(line: string): void;
  /**
   * Adds a step that is done when the work has ended, however it ended: temporary files and processes. The steps are done in the
   * order opposite to that of their calls. If the program has to exit before the work has ended, only what a step does before its
   * first `await` is certain.
   */
  onEnd(cleanUp: () => unknown): void;
  /** Ends the work with a line that says what the command line lacks: exit code 2. */
  wrongUsage(line: string): never;
}

class WrongUsage extends Error {}

const NAME = 'onnx-cloud-run';
/** How long the work may take to end after Ctrl-C. */
export const GRACE_MS = 3000;
/** A shell's codes: 128 and the number of the signal. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof SIGNALS;

/**
 * Runs the work of a verb, prints its outcome, and sets the exit code.
 *
 * An error that a user can act on is one line on stderr, and with `--json` also the document `{"error": "…"}`; its exit code is 1.
 * Any other error is thrown. Ctrl-C is a line and exit code 130.
 * @param command the verb's, which writes the errors
 */
export async function reportVerb(
  command: Command,
  { json = false }: { readonly json?: boolean | undefined },
  work: (context: VerbContext) => Promise<Outcome>,
): Promise<void> {
  const progress = await createProgress(process.stderr, json);
  const ends: (() => unknown)[] = [];
  const cleanUp = async (): Promise<void> => {
    progress.end();
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
  };
  const interruption = watchSignals(progress, () => {
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) void end();
  });
  try {
    const outcome = await work({
      progress,
      styles: json ? PLAIN : createStyles(process.stdout),
      signal: interruption.signal,
      note: (line) => progress.note(line),
      onEnd: (end) => void ends.push(end),
      wrongUsage(line) {
        throw new WrongUsage(line);
      },
    });
    await cleanUp();
    if (interruption.signal.aborted) return;
    process.stdout.write(json ? jsonText(outcome.json) : `${outcome.lines.join('\n')}\n`);
    process.exitCode = outcome.isGood === false ? EXIT.failure : 0;
  } catch (error) {
    await cleanUp();
    // The error is probably that of the work being aborted.
    if (interruption.signal.aborted) return;
    if (error instanceof WrongUsage) command.error(printable(error.message), { exitCode: EXIT.usage });
    const line = errorLine(error);
    if (line === undefined) throw error;
    if (json) process.stdout.write(jsonText({ error: line }));
    command.error(line, { exitCode: EXIT.failure });
  } finally {
    interruption.end();
  }
}

/** Aborts a signal at Ctrl-C, and makes sure that the program exits with the signal's code. */
function watchSignals(progress: Progress, cleanUpNow: () => void): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  let exits: NodeJS.Timeout | undefined;
  let code = 0;
  const interrupt = (signal: Signal): void => {
    // The second time, it is meant to be at once.
    if (code !== 0) process.exit(code);
    code = SIGNALS[signal];
    process.exitCode = code;
    progress.end();
    // A terminal has written ^C.
    process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}${NAME}: interrupted\n`);
    exits = setTimeout(() => {
      cleanUpNow();
      process.exit(code);
    }, GRACE_MS);
    controller.abort(new Error(`interrupted by ${signal}`));
  };
  const names = Object.keys(SIGNALS) as Signal[];
  for (const name of names) process.on(name, interrupt);
  return {
    signal: controller.signal,
    end() {
      clearTimeout(exits);
      // Work that did not heed the signal may have left something that keeps the process alive.
      if (code !== 0) process.exit(code);
      for (const name of names) process.off(name, interrupt);
    },
  };
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? Number(one) : one), 2)}\n`;
}
