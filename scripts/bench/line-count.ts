const LF = 10;
const TAIL_BYTES = 1024;

interface LineCount {
  /** Counts the newlines of `bytes[from, to)`. */
  push(bytes: Buffer, from: number, to: number): void;
  lines(): number;
  /** The last line that ended with a newline and has at most 1 kB, else ''. */
  lastLine(): string;
}

/** Counts the lines of a stream, and keeps the last one, without creating strings of the others. */
export function createLineCount(): LineCount {
  const tail = Buffer.alloc(TAIL_BYTES);
  let kept = 0;
  let lines = 0;

  function keep(bytes: Buffer, from: number, to: number): void {
    const added = Math.min(TAIL_BYTES, to - from);
    const stay = Math.min(kept, TAIL_BYTES - added);
    tail.copyWithin(0, kept - stay, kept);
    bytes.copy(tail, stay, to - added, to);
    kept = stay + added;
  }

  return {
    push(bytes, from, to) {
      // The buffer may be longer than what was read into it: a newline past `to` is an old one.
      for (let at = bytes.indexOf(LF, from); at !== -1 && at < to; at = bytes.indexOf(LF, at + 1)) lines += 1;
      keep(bytes, from, to);
    },
    lines: () => lines,
    lastLine() {
      const end = tail.lastIndexOf(LF, kept - 1);
      if (kept === 0 || end === -1) return '';
      const begin = end === 0 ? -1 : tail.lastIndexOf(LF, end - 1);
      return begin === -1 && lines > 1 ? '' : tail.toString('utf8', begin + 1, end);
    },
  };
}
