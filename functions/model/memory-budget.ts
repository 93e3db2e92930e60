import { ServingError } from '../errors.ts';
import { createLimiter } from './concurrency-limiter.ts';

/** A loaded model that can be evicted to make room for another. */
export interface Evictable {
  /** Reserved bytes that `evict` releases; 0 while it is not loaded. */
  bytes(): number;
  /** Milliseconds of `performance.now()`. */
  lastUsed(): number;
  /** It has no work in progress, and may be evicted. */
  idle(): boolean;
  /** Unloads it; settles when its memory is free. */
  evict(): Promise<void>;
}

/** Bytes of the budget that are set aside for one loaded model. */
export interface Reservation {
  readonly bytes: number;
  /** Changes the reserved bytes; never refused. */
  resize(bytes: number): void;
  /** Ends the update for which it was made: the version that was replaced has released its memory. */
  settle(): void;
  /** Returns the bytes to the budget. A second call has no effect. */
  release(): void;
}

/** How long a load waits for busy models to become idle: well within a request's deadline. */
const WAIT_MS = 20_000;
/** A model that becomes idle sends no event, so it is polled. */
const POLL_MS = 25;
const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** The memory that all loaded models may take. */
export class MemoryBudget {
  /** Bytes; undefined if there is no limit. */
  readonly limit: number | undefined;
  /** The operator set the limit: an estimate above it is refused. */
  readonly strict: boolean;
  readonly #evictable = new Set<Evictable>();
  /** Called when a reservation changes; each removes itself. */
  readonly #waiting = new Set<() => void>();
  /** Reservations of updates under way. */
  readonly #updates = new Set<Reservation>();
  #used = 0;
  /** One reservation at a time, in the order of the calls: otherwise many small ones could delay a large one for ever. */
  readonly #inTurn = createLimiter(1);
  readonly #inUpdateTurn = createLimiter(1);

  constructor(limit: number | undefined, strict = false) {
    this.limit = limit;
    this.strict = strict;
  }

  /** Bytes that are reserved. */
  used(): number {
    return this.#used;
  }

  /** Bytes that are not reserved; infinite without a limit. */
  free(): number {
    return this.limit === undefined ? Number.POSITIVE_INFINITY : this.limit - this.#used;
  }

  register(evictable: Evictable): void {
    this.#evictable.add(evictable);
  }

  unregister(evictable: Evictable): void {
    this.#evictable.delete(evictable);
  }

  /**
   * Evicts idle models, the least recently used first, until the bytes fit.
   * @returns undefined if they do not fit; nothing is evicted then, unless a model becomes busy meanwhile
   */
  async tryReserve(bytes: number): Promise<Reservation | undefined> {
    if (this.#exceedsLimit(bytes)) return undefined;
    // Bytes that fit need not wait for the evictions of others.
    return this.#fits(bytes) ? this.#open(bytes) : this.#inTurn(() => this.#evictFor(bytes));
  }

  /**
   * Reserves memory for a new version beside the one that serves. It counts as an update until `settle` or `release`. If it does not
   * fit, it waits for the updates under way to end, so that several at once evict no more models than one after the other would;
   * then it evicts as `tryReserve` does.
   * @returns undefined if it does not fit then
   */
  async reserveForUpdate(bytes: number): Promise<Reservation | undefined> {
    if (this.#exceedsLimit(bytes)) return undefined;
    if (!this.#fits(bytes)) return this.#inUpdateTurn(() => this.#reserveAfterUpdates(bytes));
    const reservation = this.#open(bytes);
    this.#updates.add(reservation);
    return reservation;
  }

  /**
   * As `tryReserve`, but waits up to 20 s for busy models.
   * @param what what the memory is for, in error messages
   * @throws ServingError `NOT_READY` if it does not fit at present, `MODEL_FAILED` if it can never fit
   */
  async reserve(bytes: number, what: string): Promise<Reservation> {
    const until = performance.now() + WAIT_MS;
    return this.#fits(bytes) ? this.#open(bytes) : this.#inTurn(() => this.#waitFor(bytes, what, until));
  }

  #fits(bytes: number, afterEvictionOf: Iterable<Evictable> = []): boolean {
    if (this.limit === undefined) return true;
    let used = this.#used;
    for (const one of afterEvictionOf) used -= one.bytes();
    return used + bytes <= this.limit;
  }

  #exceedsLimit(bytes: number): boolean {
    return this.limit !== undefined && bytes > this.limit;
  }

  #open(bytes: number): Reservation {
    let own = bytes;
    let released = false;
    const change = (more: number): void => {
      own += more;
      this.#used += more;
      for (const wake of this.#waiting) wake();
    };
    this.#used += bytes;
    const reservation: Reservation = {
      get bytes() {
        return own;
      },
      resize: (next) => {
        if (!released) change(next - own);
      },
      settle: () => {
        this.#updates.delete(reservation);
        change(0);
      },
      release: () => {
        if (released) return;
        released = true;
        this.#updates.delete(reservation);
        change(-own);
      },
    };
    return reservation;
  }

  /** @param waitsForBusy count the busy models as well: the caller tries again until they are idle. */
  async #evictFor(bytes: number, waitsForBusy = false): Promise<Reservation | undefined> {
    while (!this.#fits(bytes)) {
      const idle = [...this.#evictable].filter((one) => one.idle());
      if (!this.#fits(bytes, waitsForBusy ? this.#evictable : idle)) return undefined;
      const oldest = idle.reduce<Evictable | undefined>(
        (least, one) => (least === undefined || one.lastUsed() < least.lastUsed() ? one : least),
        undefined,
      );
      if (oldest === undefined) return undefined;
      await oldest.evict();
    }
    return this.#open(bytes);
  }

  async #reserveAfterUpdates(bytes: number): Promise<Reservation | undefined> {
    while (!this.#fits(bytes) && this.#updates.size > 0) await this.#nextChange();
    const reservation = await this.tryReserve(bytes);
    // Added before the turn ends: the update whose turn is next waits for this one.
    if (reservation !== undefined) this.#updates.add(reservation);
    return reservation;
  }

  async #waitFor(bytes: number, what: string, until: number): Promise<Reservation> {
    const name = this.strict ? 'MODEL_MEMORY_BUDGET' : 'the memory limit';
    if (this.#exceedsLimit(bytes)) {
      const message = `${what} needs about ${megabytes(bytes)} of memory, and ${name} leaves ${megabytes(this.limit!)}`;
      throw new ServingError('MODEL_FAILED', message);
    }
    for (;;) {
      const reservation = await this.#evictFor(bytes, true);
      if (reservation !== undefined) return reservation;
      if (performance.now() >= until) {
        const message = `no memory for ${what} at present: every loaded model is in use (${name} leaves ${megabytes(this.limit!)})`;
        throw new ServingError('NOT_READY', message, { retryAfter: 1 });
      }
      await this.#nextChange(POLL_MS);
    }
  }

  /** Settles when a reservation changes, or after the time. */
  #nextChange(timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(wake, timeoutMs);
      this.#waiting.add(wake);
    });
  }
}
