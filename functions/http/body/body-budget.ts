import { totalmem } from 'node:os';
import { ServingError } from '../../errors.ts';

const LEAST_BYTES = 64 * 2 ** 20;
/** Of the memory there is: a parsed body takes several times its bytes, and engines need their share. */
const SHARE = 1 / 4;
const RETRY_SECONDS = 1;

/** Bytes of all request bodies that may be in memory at once. */
export class BodyBudget {
  readonly #total: number;
  #used = 0;

  constructor(total: number) {
    this.#total = total;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Reserves bytes for a body; each of them has to be released.
   * @param limit the most bytes one body may have: one of that size always fits when it is alone.
   * @throws ServingError `OVERLOADED`, with nothing reserved.
   */
  reserve(bytes: number, limit: number): void {
    if (this.#used + bytes > Math.max(this.#total, limit)) {
      const message = 'the bodies of other requests take all memory there is for bodies; send it again later';
      throw new ServingError('OVERLOADED', message, { retryAfter: RETRY_SECONDS });
    }
    this.#used += bytes;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }
}

/** What one body has reserved of a budget. */
export class BodyReservation {
  readonly #budget: BodyBudget;
  #bytes = 0;
  #released = false;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** Whether it was released: nothing is reserved, or will be. */
  get isReleased(): boolean {
    return this.#released;
  }

  /** Reserves more; nothing once it was released. @throws ServingError `OVERLOADED`. */
  grow(bytes: number, limit: number): void {
    if (this.#released) return;
    this.#budget.reserve(bytes, limit);
    this.#bytes += bytes;
  }

  release(): void {
    this.#budget.release(this.#bytes);
    this.#bytes = 0;
    this.#released = true;
  }
}

/**
 * @param constrained bytes the process is limited to; 0 or an enormous number where nothing limits it.
 * @param machine bytes of the machine's memory.
 */
export function budgetBytes(constrained: number, machine: number): number {
  const memory = constrained > 0 && constrained < 2 ** 52 ? constrained : machine;
  return Math.max(LEAST_BYTES, Math.floor(memory * SHARE));
}

/** The memory is the process's: so is its budget. */
export const processBudget = new BodyBudget(budgetBytes(process.constrainedMemory(), totalmem()));
