import type { IncomingMessage } from 'node:http';
import { totalmem } from 'node:os';
import { ServingError } from '../errors.ts';
import type { Route } from './router.ts';

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
   * Takes bytes for a body; each taken byte has to be given back.
   * @param limit the most bytes one body may have: one of that size always fits when it is alone.
   * @throws ServingError `OVERLOADED`, with nothing taken.
   */
  take(bytes: number, limit: number): void {
    if (this.#used + bytes > Math.max(this.#total, limit)) {
      const message = 'the bodies of other requests take all memory there is for bodies; send it again later';
      throw new ServingError('OVERLOADED', message, { retryAfter: RETRY_SECONDS });
    }
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

/** What one large body has taken: its bytes, and later the value parsed from them, live until its request has ended. */
export class BodyHold {
  readonly #budget: BodyBudget;
  #bytes = 0;
  #over = false;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** @throws ServingError `OVERLOADED`. */
  grow(bytes: number, limit: number): void {
    if (this.#over) return;
    this.#budget.take(bytes, limit);
    this.#bytes += bytes;
  }

  release(): void {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
    this.#over = true;
  }
}

const holds = new WeakMap<IncomingMessage, BodyHold>();

/** Opens the account of a large body. It is closed by `releasing`. */
export function holdBody(req: IncomingMessage, budget: BodyBudget): BodyHold {
  const hold = new BodyHold(budget);
  holds.set(req, hold);
  return hold;
}

/** The route, which gives back what the body of a request has taken when it is done with it, well or not. */
export function releasing(route: Route): Route {
  return {
    ...route,
    handle(exchange) {
      const handled = route.handle(exchange);
      if (handled instanceof Promise && holds.has(exchange.req)) {
        const release = (): void => holds.get(exchange.req)!.release();
        handled.then(release, release);
      }
      return handled;
    },
  };
}

/**
 * @param constrained bytes the process is held to; 0 or an enormous number where nothing holds it.
 * @param machine bytes of the machine's memory.
 */
export function budgetBytes(constrained: number, machine: number): number {
  const memory = constrained > 0 && constrained < 2 ** 52 ? constrained : machine;
  return Math.max(LEAST_BYTES, Math.floor(memory * SHARE));
}

/** The memory is the process's: so is its budget. */
export const processBudget = new BodyBudget(budgetBytes(process.constrainedMemory(), totalmem()));
