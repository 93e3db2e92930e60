import { totalmem } from 'node:os';
import { bodyMemory } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';

const RETRY_SECONDS = 1;

/** A budget for the bytes of all request bodies that are in memory at the same time. */
export class BodyBudget {
  readonly #total: number;
  #used = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Bytes that are reserved now. */
  get used(): number {
    return this.#used;
  }

  /**
   * Reserves bytes for a body. The caller has to release all of them.
   * @param limit the most bytes one body may have: one of that size always fits when it is alone.
   * @throws ServingError `OVERLOADED`, with nothing reserved.
   */
  reserve(bytes: number, limit: number): void {
    if (this.#used + bytes > Math.max(this.#total, limit)) {
      const message = 'the bodies of other requests take all memory for bodies; send the request again later';
      throw new ServingError('OVERLOADED', message, { retryAfter: RETRY_SECONDS });
    }
    this.#used += bytes;
  }

  /** Releases bytes that were reserved. */
  release(bytes: number): void {
    this.#used -= bytes;
  }
}

/** The bytes that are reserved for one body in a budget. */
export class BodyReservation {
  readonly #budget: BodyBudget;
  #bytes = 0;
  #released = false;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** Whether `release` was called: nothing is reserved, now or later. */
  get isReleased(): boolean {
    return this.#released;
  }

  /** Reserves more bytes; has no effect after `release`. @throws ServingError `OVERLOADED`. */
  grow(bytes: number, limit: number): void {
    if (this.#released) return;
    this.#budget.reserve(bytes, limit);
    this.#bytes += bytes;
  }

  /** Releases all bytes, for good. */
  release(): void {
    this.#budget.release(this.#bytes);
    this.#bytes = 0;
    this.#released = true;
  }
}

/**
 * The bytes that all bodies together may take: see `bodyMemory`.
 * @param constrained bytes to which the process is limited; 0 or an enormous number without a limit.
 * @param machine bytes of the machine's memory.
 */
export function budgetBytes(constrained: number, machine: number): number {
  const memory = constrained > 0 && constrained < 2 ** 52 ? constrained : machine;
  return bodyMemory(memory);
}

/** The budget of this process. */
export const processBudget = new BodyBudget(budgetBytes(process.constrainedMemory(), totalmem()));
