import { markOwned } from './owned-memory.ts';

/** Memory that is made for a body at once, whatever length was declared. */
const FIRST_BYTES = 65_536;
/** Growing by this factor copies a third of the body again in all. */
const FACTOR = 4;
/** Of a body of which so much has arrived, memory is made for all: to copy more would keep others from their turn. */
const ALL_FROM = 2 ** 22;

/**
 * A body of declared length that arrives in pieces. Memory is made for what has arrived and a little more, as a declared
 * length is a promise of the client's alone; what is not written to takes addresses, and no memory.
 */
export class DeclaredBuffer {
  readonly #declared: number;
  readonly #lead: number;
  #bytes: Buffer;
  #length = 0;

  /**
   * @param declared bytes of the whole body: no more may be appended.
   * @param lead bytes that are left free before the body, for its alignment.
   */
  constructor(declared: number, lead: number) {
    this.#declared = declared;
    this.#lead = lead;
    this.#bytes = this.#allocate(Math.min(declared, FIRST_BYTES));
  }

  append(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const room = length > ALL_FROM ? this.#declared : Math.max(length, FACTOR * this.#bytes.length);
      const larger = this.#allocate(Math.min(this.#declared, room));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** The bytes so far, which are the caller's from here on: marked as owned. */
  take(): Buffer {
    return markOwned(this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length));
  }

  #allocate(bytes: number): Buffer {
    return Buffer.allocUnsafeSlow(this.#lead + bytes).subarray(this.#lead);
  }
}
