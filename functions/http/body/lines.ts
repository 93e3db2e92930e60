import { ServingError } from '../../errors.ts';
import { type BodyBudget, processBudget } from './body-budget.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/**
 * A line of an NDJSON body, without its line end; or why there is none. Its bytes are reserved of the budget, and the
 * receiver releases them.
 */
export type Line = Buffer | ServingError;

/** Cuts a body that arrives in pieces into lines. */
export interface LineCutter {
  /**
   * The lines that end in this piece, cut one by one as they are asked for: all of a piece at once would be thousands.
   * Blank lines are left out.
   */
  push(piece: Buffer): Iterable<Line>;
  /** What follows the last line end. */
  end(): Iterable<Line>;
  /** Forgets what is kept of an unfinished line, and releases its bytes. */
  close(): void;
}

const NEWLINE = 0x0a;

/**
 * @param limit bytes a line may have. The bytes of a longer one, and of one that finds no memory, are thrown away as they
 * come, so that memory stays bounded; the lines after it are read.
 * @param budget what all bodies together may take.
 */
export function createLineCutter(limit: number, budget: BodyBudget = processBudget): LineCutter {
  const kept = new GrowingBuffer(limit);
  let refusal: ServingError | undefined;

  function keep(part: Buffer): void {
    if (refusal !== undefined || part.length === 0) return;
    try {
      if (kept.length + part.length > limit) throw tooLong(limit);
      budget.reserve(part.length, limit);
      kept.append(part);
    } catch (error) {
      close();
      refusal = error as ServingError;
    }
  }

  function* finish(): Generator<Line> {
    const line = refusal ?? kept.take();
    refusal = undefined;
    if (line instanceof ServingError || blanksFrom(line, 0) < line.length) yield line;
    else budget.release(line.length);
  }

  function close(): void {
    budget.release(kept.length);
    kept.clear();
    refusal = undefined;
  }

  return {
    *push(piece) {
      for (let from = 0; from < piece.length; ) {
        // Blank lines are skipped byte by byte: a piece may hold 65,536 of them.
        const text = blanksFrom(piece, from);
        const isBlank = piece[text] === NEWLINE && text - from <= limit && kept.length === 0 && refusal === undefined;
        const end = isBlank ? text : piece.indexOf(NEWLINE, text);
        if (!isBlank) keep(piece.subarray(from, end === -1 ? piece.length : end));
        if (end === -1) return;
        from = end + 1;
        if (!isBlank) yield* finish();
      }
    },
    end: finish,
    close,
  };
}

/** Where the first byte is, from `from` on, that is neither a blank, nor a tab, nor a carriage return. */
function blanksFrom(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === 0x0d) at++;
  return at;
}

function tooLong(limit: number): ServingError {
  return new ServingError('TOO_LARGE', `the line is longer than ${limit} bytes (MAX_BODY_BYTES)`);
}
