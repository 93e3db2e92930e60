import { GrowingBuffer } from './growing-buffer.ts';

/** A line of an NDJSON body, without its line end; `undefined` in place of one that is longer than allowed. */
export type Line = Buffer | undefined;

/** Cuts a body that arrives in pieces into lines. */
export interface LineCutter {
  /**
   * The lines that end in this piece, cut one by one as they are asked for: all of a piece at once would be thousands.
   * To be gone through to its end. Blank lines are left out.
   */
  push(piece: Buffer): Iterable<Line>;
  /** What follows the last line end. */
  end(): Iterable<Line>;
}

const NEWLINE = 0x0a;

/**
 * @param limit bytes a line may have. The bytes of a longer one are thrown away as they come, so that memory stays
 * bounded, and the lines after it are read.
 */
export function createLineCutter(limit: number): LineCutter {
  const kept = new GrowingBuffer(limit);
  let tooLong = false;

  function keep(part: Buffer): void {
    if (tooLong) return;
    if (kept.length + part.length > limit) {
      tooLong = true;
      kept.clear();
    } else kept.append(part);
  }

  function* finish(): Generator<Line> {
    const long = tooLong;
    const line = kept.take();
    tooLong = false;
    if (long) yield undefined;
    else if (!isBlank(line)) yield line;
  }

  return {
    *push(piece) {
      let from = 0;
      for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, from)) {
        keep(piece.subarray(from, at));
        yield* finish();
        from = at + 1;
      }
      keep(piece.subarray(from));
    },
    end: finish,
  };
}

/** Looks no further than the first byte that is neither a blank, nor a tab, nor a carriage return. */
function isBlank(line: Buffer): boolean {
  let at = 0;
  while (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0d) at++;
  return at === line.length;
}
