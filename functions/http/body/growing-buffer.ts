/**
 * Puts parts together as they come. Each Buffer costs some 360 bytes beside its own: a body sent a byte at a time must
 * not be kept as its parts. A first part is kept as it is, uncopied.
 */
export class GrowingBuffer {
  readonly #limit: number;
  #bytes: Buffer | undefined;
  #length = 0;

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
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, Math.min(this.#limit, 2 * this.#bytes.length)));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    part.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** All bytes; they are the caller's from here on, and this one is empty again. */
  take(): Buffer {
    const bytes = this.#bytes ?? Buffer.alloc(0);
    const taken = bytes.length === this.#length ? bytes : bytes.subarray(0, this.#length);
    this.clear();
    return taken;
  }

  clear(): void {
    this.#bytes = undefined;
    this.#length = 0;
  }
}
