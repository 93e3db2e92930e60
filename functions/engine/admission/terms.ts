/** Whether the result of some work is still wanted. */
export interface Cancellation {
  /** True once the client has closed the connection or the deadline has passed. */
  readonly cancelled: boolean;
}

/** 0: high, 1: normal, 2: low. */
export type Priority = 0 | 1 | 2;

export const PRIORITIES: readonly Priority[] = [0, 1, 2];

/** What the queue must know of the request to which rows belong: one object for all rows of a request. */
export interface RequestTerms extends Cancellation {
  /** `performance.now()` from which on the result is of no use. Default: never. */
  readonly deadline?: number | undefined;
  /** Default: normal; low for bulk work. */
  readonly priority?: Priority | undefined;
  /** The authenticated caller. The rows of each caller take turns with those of the others. */
  readonly caller?: string | undefined;
}
