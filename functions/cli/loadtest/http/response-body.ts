const SAMPLE_BYTES = 512;

/** The body of the response that a connection receives. */
export interface Body {
  readonly add: (bytes: Buffer, from: number, to: number) => void;
  bytes(): Buffer;
  clear(): void;
}

/** The body of a response: its start alone, in memory that is reused, unless all of it is kept. */
export function createBody(isWhole: boolean): Body {
  const start = Buffer.allocUnsafe(isWhole ? 0 : SAMPLE_BYTES);
  let parts: Buffer[] = [];
  let length = 0;
  return {
    add(bytes, from, to) {
      if (isWhole) parts.push(Buffer.from(bytes.subarray(from, to)));
      else if (length < SAMPLE_BYTES)
        length += bytes.copy(start, length, from, Math.min(to, from + SAMPLE_BYTES - length));
    },
    bytes: () => (isWhole ? Buffer.concat(parts) : start.subarray(0, length)),
    clear() {
      parts = [];
      length = 0;
    },
  };
}
