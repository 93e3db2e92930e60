import type { ServingError } from '../../errors.ts';
import { toServingError } from '../../http/error-response.ts';
import type { RowResult } from './row-batch.ts';

/** How a response of many rows is framed: a line a row, or one array. */
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
  readonly stopped: { readonly code: 'DRAINING' | 'IDLE' | 'MODEL_CHANGED'; readonly message: string } | undefined;
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
  /** Settles when all that was put has been answered, or the stream was abandoned. @throws what kept a batch from being sent. */
  finish(): Promise<void>;
  /** Writes nothing more, and ends every wait for room. */
  abandon(): void;
  /** The first error of a row that is a fault of the server or its model, and not of the row. */
  fault(): ServingError | undefined;
  /** Rows answered so far. */
  counts(): { readonly ok: number; readonly failed: number };
  /** Batches put and not answered. */
  pending(): number;
}

/** A batch of long rows is sent in texts of about this many characters: one of all its rows may be longer than a string can be. */
const TEXT_LENGTH = 65_536;

export function createRowStream({ framing, batchesInFlight, send }: RowStreamOptions): RowStream {
  const batches: Promise<readonly RowResult[]>[] = [];
  const abandonment = Promise.withResolvers<void>();
  let ok = 0;
  let failed = 0;
  let abandoned = false;
  let opened = false;
  let fault: ServingError | undefined;
  let broken: unknown;
  let writing: Promise<void> | undefined;
  let makeRoom: (() => void) | undefined;

  async function writeAll(): Promise<void> {
    try {
      for (let batch = batches[0]; batch !== undefined && !abandoned; batch = batches[0]) {
        await writeBatch(await batch);
        batches.shift();
        makeRoom?.();
        makeRoom = undefined;
      }
    } catch (error) {
      broken = error;
      abandon();
    } finally {
      writing = undefined;
      makeRoom?.();
    }
  }

  async function writeBatch(results: readonly RowResult[]): Promise<void> {
    for (let from = 0; from < results.length && !abandoned; ) {
      let text = '';
      let to = from;
      while (to < results.length && text.length < TEXT_LENGTH) {
        const lead = opened || to > from ? framing.between : framing.open;
        text += lead + memberOf(results[to]!, ok + failed + to - from);
        to++;
      }
      // Counted only once it is sure to be sent: a client that is cut off goes on from what it was answered.
      for (; from < to; from++) 'text' in results[from]! ? ok++ : failed++;
      opened = true;
      await send(text);
    }
  }

  function memberOf(result: RowResult, index: number): string {
    if ('text' in result) return `{"index":${index},${result.text}}`;
    const error = toServingError(result.error);
    if (error.code === 'INTERNAL' || error.code === 'MODEL_FAILED') fault ??= error;
    const { message, code, path } = error;
    return `{"index":${index},"error":${JSON.stringify({ message, code, path })}}`;
  }

  function abandon(): void {
    abandoned = true;
    abandonment.resolve();
    makeRoom?.();
  }

  return {
    put(batch) {
      if (abandoned) return undefined;
      batches.push(batch);
      writing ??= writeAll();
      if (batches.length < batchesInFlight) return undefined;
      return new Promise((resolve) => {
        makeRoom = resolve;
      });
    },
    async finish() {
      while (writing !== undefined && !abandoned) await Promise.race([writing, abandonment.promise]);
      if (broken !== undefined) throw broken;
    },
    abandon,
    fault: () => fault,
    counts: () => ({ ok, failed }),
    pending: () => batches.length,
  };
}
