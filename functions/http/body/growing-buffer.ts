import { markOwned } from './owned-memory.ts';

/** From this size on memory grows by a larger factor: others would wait while tens of MiB are copied. */
const LARGE_BYTES = 2 ** 21;
const FACTOR = 2;
const LARGE_FACTOR = 8;

/**
 * Puts parts together as they come. Each Buffer costs some 360 bytes beside its own: a body sent a byte at a time must
 * not be kept as its parts. A first part is kept as it is, uncopied.
 */
export class GrowingBuffer {
  readonly #limit: number;
  #bytes: Buffer | undefined;
  #length = 0;
  /** Whether the bytes lie in memory that was allocated here. */
  #isOwned = false;

  /** @param limit bytes: no more room than this is made in advance. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  append(part: Buffer): void {
    if (part.length === 0) return;
    if (this.#bytes === undefined) {
      this.#bytes = part;
      this.#length = part.length;
      return;
    }
    const length = this.#length + part.length;
    // A first part has no room behind it: what is written to is always memory made here.
    if (length > this.#bytes.length) this.#bytes = this.#grow(length, this.#bytes);
    part.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** What is not written to takes addresses, and no memory. */
  #grow(length: number, bytes: Buffer): Buffer {
    const factor = bytes.length < LARGE_BYTES ? FACTOR : LARGE_FACTOR;
    const larger = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#limit, factor * bytes.length)));
    bytes.copy(larger, 0, 0, this.#length);
    this.#isOwned = true;
    return larger;
  }

  /**
   * All bytes; they are the caller's from here on, and this one is empty again. Marked as owned, unless they are a first
   * part alone, whose memory is that of whoever gave it.
   */
  take(): Buffer {
    const bytes = this.#bytes ?? Buffer.alloc(0);
    const taken = bytes.length === this.#length ? bytes : bytes.subarray(0, this.#length);
    if (this.#isOwned) markOwned(taken);
    this.clear();
    return taken;
  }

  clear(): void {
    this.#bytes = undefined;
    this.#length = 0;
    this.#isOwned = false;
  }
}
