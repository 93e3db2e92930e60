import { freeMemory, markOwned } from './owned-memory.ts';

/** Bytes that are allocated for a body at first, whatever length was declared. */
const FIRST_BYTES = 65_536;
/** Growing by this factor copies a third of the body in all. */
const FACTOR = 4;
/** Once so many bytes have arrived, memory for the complete body is allocated: copying more would delay other requests. */
const ALL_FROM = 2 ** 22;

/**
 * Collects a body of declared length that arrives in pieces. Memory is allocated for what has arrived and a little more, as a
 * client may declare bytes that it never sends. Memory that is allocated and not written takes addresses alone.
 */
export class DeclaredBuffer {
  readonly #declared: number;
  readonly #lead: number;
  #bytes: Buffer;
  #length = 0;

  /**
   * @param declared bytes of the complete body: no more may be appended.
   * @param lead bytes that are left free before the body, for its alignment.
   */
  constructor(declared: number, lead: number) {
    this.#declared = declared;
    this.#lead = lead;
    this.#bytes = this.#allocate(Math.min(declared, FIRST_BYTES));
  }

  /** Copies the next piece. */
  append(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const room = length > ALL_FROM ? this.#declared : Math.max(length, FACTOR * this.#bytes.length);
      const larger = this.#allocate(Math.min(this.#declared, room));
      this.#bytes.copy(larger, 0, 0, this.#length);
      freeMemory(this.#bytes.buffer);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** The bytes so far, in memory that is the caller's from now on: see `markOwned`. */
  take(): Buffer {
    return markOwned(this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length));
  }

  /** Frees the memory of a body that is discarded. */
  clear(): void {
    freeMemory(this.#bytes.buffer);
  }

  #allocate(bytes: number): Buffer {
    return Buffer.allocUnsafeSlow(this.#lead + bytes).subarray(this.#lead);
  }
}
