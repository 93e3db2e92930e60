/** A line of an NDJSON body, without its line end; `undefined` in place of one that is longer than allowed. */
export type Line = Buffer | undefined;

/** Cuts a body that arrives in pieces into lines. */
export interface LineCutter {
  /** The lines that end in this piece. Blank lines are left out. */
  push(piece: Buffer): Line[];
  /** What follows the last line end. */
  end(): Line[];
}

const NEWLINE = 0x0a;

/**
 * @param limit bytes a line may have. The bytes of a longer one are thrown away as they come, so that memory stays
 * bounded, and the lines after it are read.
 */
export function createLineCutter(limit: number): LineCutter {
  let kept: Buffer[] = [];
  let size = 0;
  let tooLong = false;

  function keep(part: Buffer): void {
    size += part.length;
    if (size > limit) {
      tooLong = true;
      kept = [];
    } else if (part.length > 0) kept.push(part);
  }

  function finish(into: Line[]): void {
    if (tooLong) into.push(undefined);
    else if (kept.length > 0) {
      const line = kept.length === 1 ? kept[0]! : Buffer.concat(kept);
      if (!isBlank(line)) into.push(line);
    }
    kept = [];
    size = 0;
    tooLong = false;
  }

  return {
    push(piece) {
      const lines: Line[] = [];
      let from = 0;
      for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, from)) {
        keep(piece.subarray(from, at));
        finish(lines);
        from = at + 1;
      }
      if (from < piece.length) keep(piece.subarray(from));
      return lines;
    },
    end() {
      const lines: Line[] = [];
      finish(lines);
      return lines;
    },
  };
}

/** Looks no further than the first byte that is neither a blank, nor a tab, nor a carriage return. */
function isBlank(line: Buffer): boolean {
  let at = 0;
  while (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0d) at++;
  return at === line.length;
}
