import type { Command } from 'commander';

/** A verb of the command line: `onnx-cloud-run NAME …`. */
export interface Verb {
  readonly name: string;
  /** Its purpose, as one line of `onnx-cloud-run --help`. */
  readonly summary: string;
  /**
   * Declares its arguments, options and action. An action that fails calls `command.error(message, { exitCode: EXIT.failure })`, with
   * one line that says what to do. It imports what only this verb needs when it runs.
   */
  add(command: Command): void;
}

/** Exit codes beside 0. A file that cannot be used, a setting with an invalid value and a start that failed are failures. */
export const EXIT = { failure: 1, usage: 2 } as const;
