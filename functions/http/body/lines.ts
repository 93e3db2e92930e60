import { ServingError } from '../../errors.ts';
import { type BodyBudget, processBudget } from './body-budget.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/**
 * A line of an NDJSON body without its line break, or the error of a line that was refused. The bytes of a line are reserved in
 * the budget; the receiver has to release them.
 */
export type Line = Buffer | ServingError;

/** Cuts a body that arrives in pieces into lines. */
interface LineCutter {
  /**
   * The lines that end in this piece, without blank ones. Each is cut when it is requested, as a piece may have thousands. All of
   * them have to be taken before the next piece.
   */
  push(piece: Buffer): Iterable<Line>;
  /** The line after the last line break, if it is not blank. */
  end(): Iterable<Line>;
  /** Discards an unfinished line, and releases its bytes. */
  close(): void;
}

const NEWLINE = 0x0a;

/**
 * Creates a cutter for one body. A line that is too long (`TOO_LARGE`), or for which there is no memory (`OVERLOADED`), is
 * discarded as it arrives, so that memory stays bounded; the lines after it are read.
 * @param limit most bytes of a line.
 * @param budget the memory for all bodies together.
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

/** The index of the first byte from `from` on that is neither a blank, nor a tab, nor a carriage return. */
function blanksFrom(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === 0x0d) at++;
  return at;
}

function tooLong(limit: number): ServingError {
  return new ServingError('TOO_LARGE', `the line is longer than ${limit} bytes (MAX_BODY_BYTES)`);
}
