import type { ServingError } from '../../errors.ts';
import { toServingError } from '../../http/error-response.ts';
import type { RowResult } from './row-batch.ts';

/** How a response of many rows is framed: a line for each row, or one array. */
interface RowFraming {
  /** The media type. */
  readonly type: string;
  /** Text before the first row. */
  readonly open: string;
  /** Text between two rows. */
  readonly between: string;
  /** Text after the last row. */
  readonly close: string;
  /** The text of the summary, the last line or element; empty: an array of all rows has none. */
  last(summary: RowSummary): string;
}

/** The end of a response of many rows: how many rows have a prediction, how many an error. */
export interface RowSummary {
  readonly ok: number;
  readonly failed: number;
  /** Why the response ends before the last row; undefined if it has all rows. The client sends those from row `ok + failed` on again. */
  readonly stopped: { readonly code: 'DRAINING' | 'IDLE' | 'MODEL_CHANGED'; readonly message: string } | undefined;
}

const summarize = ({ ok, failed, stopped }: RowSummary): string =>
  stopped === undefined
    ? `{"done":true,"ok":${ok},"failed":${failed}}`
    : `{"done":false,"next_index":${ok + failed},"code":"${stopped.code}","message":${JSON.stringify(stopped.message)}}`;

/** A line of NDJSON for each row, and one for the summary. */
export const NDJSON: RowFraming = {
  type: 'application/x-ndjson',
  open: '',
  between: '\n',
  close: '\n',
  last: summarize,
};

/** A JSON array with an element for each row; the summary is one only if rows are missing. */
export const JSON_ARRAY: RowFraming = {
  type: 'application/json',
  open: '[',
  between: ',',
  close: ']',
  last: (summary) => (summary.stopped === undefined ? '' : summarize(summary)),
};

/** How a stream of rows is written. */
export interface RowStreamOptions {
  readonly framing: RowFraming;
  /** Most batches that are put and not sent: `put` waits then. */
  readonly batchesInFlight: number;
  /** Sends a text. Returns undefined if the client can accept more, else a promise that settles when it can. */
  readonly send: (text: string) => Promise<void> | undefined;
}

/** Batches of rows that are being run; their results are sent in the order in which they were put. */
export interface RowStream {
  /** Adds a batch by the promise of its results. Returns undefined if another may be put, else a promise that settles when it may. */
  put(batch: Promise<readonly RowResult[]>): Promise<void> | undefined;
  /** Settles when all batches have been sent, or the stream was abandoned. @throws the error that kept a batch from being sent. */
  finish(): Promise<void>;
  /** Ends the sending: nothing more is sent, and all promises settle. */
  abandon(): void;
  /** The first error of a row that is a fault of the server or the model, not of the row; undefined if there is none. */
  fault(): ServingError | undefined;
  /** Rows sent so far, with a prediction and with an error. */
  counts(): { readonly ok: number; readonly failed: number };
  /** Batches that are put and not sent. */
  pending(): number;
}

/** Characters of a text that is sent: the text of all rows of a batch may be longer than a string can be. */
const TEXT_LENGTH = 65_536;

/** Creates a stream of rows. Nothing is sent before the first batch is put. */
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
      // Counted just before they are sent: a client whose response ends early sends the rows after the last one again.
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
