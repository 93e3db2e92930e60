import { toServingError } from '../http/failure.ts';
import type { RowResult } from './row-batch.ts';

/** How an answer of many rows is framed: a line a row, or one array. */
export interface RowFraming {
  readonly type: string;
  readonly open: string;
  readonly between: string;
  readonly close: string;
  /** The last member: always a line of NDJSON, but in an array only where something is missing. */
  last(summary: RowSummary): string;
}

export interface RowSummary {
  readonly ok: number;
  readonly failed: number;
  /** Why not all rows were answered: the client goes on from row `ok + failed`. */
  readonly stopped: { readonly code: 'DRAINING' | 'IDLE'; readonly message: string } | undefined;
}

const summarize = ({ ok, failed, stopped }: RowSummary): string =>
  stopped === undefined
    ? `{"done":true,"ok":${ok},"failed":${failed}}`
    : `{"done":false,"next_index":${ok + failed},"code":"${stopped.code}","message":${JSON.stringify(stopped.message)}}`;

export const NDJSON: RowFraming = {
  type: 'application/x-ndjson',
  open: '',
  between: '\n',
  close: '\n',
  last: summarize,
};

export const JSON_ARRAY: RowFraming = {
  type: 'application/json',
  open: '[',
  between: ',',
  close: ']',
  last: (summary) => (summary.stopped === undefined ? '' : summarize(summary)),
};

export interface RowStreamOptions {
  readonly framing: RowFraming;
  /** Batches that may be on their way at once; more are not read. */
  readonly batchesInFlight: number;
  /** Sends a text on; settles when the client can take more. */
  readonly send: (text: string) => Promise<void> | undefined;
}

/** Batches of rows on their way through the model, answered in the order in which they were put. */
export interface RowStream {
  /** Takes a batch whose results are on their way; settles when there is room for another. */
  put(batch: Promise<readonly RowResult[]>): Promise<void> | undefined;
  /** Settles when all that was put has been answered. */
  finish(): Promise<void>;
  /** Answers nothing more. */
  abandon(): void;
  /** Rows answered so far. */
  counts(): { readonly ok: number; readonly failed: number };
  /** Batches put and not answered. */
  pending(): number;
}

export function createRowStream({ framing, batchesInFlight, send }: RowStreamOptions): RowStream {
  const batches: Promise<readonly RowResult[]>[] = [];
  let ok = 0;
  let failed = 0;
  let abandoned = false;
  let opened = false;
  let writing: Promise<void> | undefined;
  let makeRoom: (() => void) | undefined;

  async function writeAll(): Promise<void> {
    for (let batch = batches[0]; batch !== undefined && !abandoned; batch = batches[0]) {
      const results = await batch;
      // Counted only once it is sure to be sent: a client that is cut off goes on from what it was answered.
      if (abandoned) break;
      const text = results.map(memberOf).join(framing.between);
      await send((opened ? framing.between : framing.open) + text);
      opened = true;
      batches.shift();
      makeRoom?.();
      makeRoom = undefined;
    }
    writing = undefined;
    makeRoom?.();
  }

  function memberOf(result: RowResult): string {
    const index = ok + failed;
    if ('text' in result) {
      ok++;
      return `{"index":${index},${result.text}}`;
    }
    failed++;
    const { message, code, path } = toServingError(result.error);
    return `{"index":${index},"error":${JSON.stringify({ message, code, path })}}`;
  }

  return {
    put(batch) {
      batches.push(batch);
      writing ??= writeAll();
      if (batches.length < batchesInFlight || abandoned) return undefined;
      return new Promise((resolve) => {
        makeRoom = resolve;
      });
    },
    async finish() {
      while (writing !== undefined) await writing;
    },
    abandon() {
      abandoned = true;
      makeRoom?.();
    },
    counts: () => ({ ok, failed }),
    pending: () => batches.length,
  };
}
