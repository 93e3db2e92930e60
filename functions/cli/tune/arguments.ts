import type { Way } from '../prices/cost.ts';

/** The command line of `tune`. */
export interface TuneArguments {
  readonly path: string;
  /** The file of the rows. */
  readonly rows: string | undefined;
  /** Of the search. */
  readonly budget: number;
  /** The highest p99 in ms. */
  readonly p99?: number;
  readonly bill: Way;
  readonly prices?: string;
  /** The folder of the project to write into; true: the current one. */
  readonly write?: string | true;
  readonly json?: boolean;
}
