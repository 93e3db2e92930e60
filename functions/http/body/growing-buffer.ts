import { freeMemory, markOwned } from './owned-memory.ts';

/** From this size on memory grows by a larger factor: copying tens of MiB would delay other requests. */
const LARGE_BYTES = 2 ** 21;
const FACTOR = 2;
const LARGE_FACTOR = 8;

/**
 * Concatenates parts as they arrive. Each Buffer takes some 360 bytes more than its content: a body that is sent byte by byte
 * must not be kept as its parts. The first part alone is not copied.
 */
export class GrowingBuffer {
  readonly #limit: number;
  #bytes: Buffer | undefined;
  #length = 0;
  /** Whether the bytes lie in memory that was allocated here. */
  #isOwned = false;

  /** @param limit most bytes that are allocated in advance. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Adds a part. The first one must not change as long as it is the only one. */
  append(part: Buffer): void {
    if (part.length === 0) return;
    if (this.#bytes === undefined) {
      this.#bytes = part;
      this.#length = part.length;
      return;
    }
    const length = this.#length + part.length;
    // Only memory that was allocated here is written to: a first part has no free bytes behind it.
    if (length > this.#bytes.length) this.#bytes = this.#grow(length, this.#bytes);
    part.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** Memory that is allocated and not written takes addresses alone. */
  #grow(length: number, bytes: Buffer): Buffer {
    const factor = bytes.length < LARGE_BYTES ? FACTOR : LARGE_FACTOR;
    const larger = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#limit, factor * bytes.length)));
    bytes.copy(larger, 0, 0, this.#length);
    if (this.#isOwned) freeMemory(bytes.buffer);
    this.#isOwned = true;
    return larger;
  }

  /**
   * Returns all bytes, and is empty again. They are marked as owned (see `markOwned`), unless they are a first part alone, whose
   * memory others may use.
   */
  take(): Buffer {
    const bytes = this.#bytes ?? Buffer.alloc(0);
    const taken = bytes.length === this.#length ? bytes : bytes.subarray(0, this.#length);
    if (this.#isOwned) markOwned(taken);
    this.#forget();
    return taken;
  }

  /** Discards all bytes, and frees their memory. */
  clear(): void {
    if (this.#isOwned) freeMemory(this.#bytes!.buffer);
    this.#forget();
  }

  #forget(): void {
    this.#bytes = undefined;
    this.#length = 0;
    this.#isOwned = false;
  }
}
