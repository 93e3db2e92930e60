import { ServingError } from '../errors.ts';
import { createLimiter } from './concurrency-limiter.ts';

/** A loaded model that can be evicted to make room for another. */
export interface Evictable {
  /** Reserved bytes that `evict` releases; 0 while it is not loaded. */
  bytes(): number;
  /** Milliseconds of `performance.now()`. */
  lastUsed(): number;
  /** In how many of the last ten seconds requests used it. */
  usedSeconds(): number;
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

/** A model that requests used in so many of the last ten seconds is in steady use: no request evicts it for another model. */
const STEADY_SECONDS = 5;
/** `Retry-After` if all memory is in steady use. */
const STEADY_RETRY_SECONDS = 5;
/** How long a load waits for busy models to become idle: well within a request's deadline. */
const WAIT_MS = 20_000;
/** A model that becomes idle sends no event, so it is polled. */
const POLL_MS = 25;
const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** In how many of the last ten seconds requests used the model for which memory is reserved; infinite if the operator loads it. */
type UsedSeconds = () => number;
const byOperator: UsedSeconds = () => Number.POSITIVE_INFINITY;

/** What a model needs to be loaded. */
interface Need {
  readonly bytes: number;
  /** 1, or 0 for a newer version of a model that is loaded. */
  readonly models: number;
  readonly usedSeconds: UsedSeconds;
}

/**
 * The memory that all loaded models may take, and their number. A request's model takes the place of models that are used no more
 * than itself, and never of one in steady use: otherwise a caller who requests one model after the other would evict those of all
 * others.
 */
export class MemoryBudget {
  /** Bytes; undefined if there is no limit. */
  readonly limit: number | undefined;
  /** The operator set the limit: an estimate above it is refused. */
  readonly strict: boolean;
  /** The most models that may be loaded; a newer version that is prepared beside the one that serves does not count. */
  readonly maxModels: number;
  readonly #evictable = new Set<Evictable>();
  /** Called when a reservation changes; each removes itself. */
  readonly #waiting = new Set<() => void>();
  /** Reservations of updates under way. */
  readonly #updates = new Set<Reservation>();
  #used = 0;
  #reservations = 0;
  /** One reservation at a time, in the order of the calls: otherwise many small ones could delay a large one for ever. */
  readonly #inTurn = createLimiter(1);
  readonly #inUpdateTurn = createLimiter(1);

  constructor(limit: number | undefined, strict = false, maxModels = Number.POSITIVE_INFINITY) {
    this.limit = limit;
    this.strict = strict;
    this.maxModels = maxModels;
  }

  /** Bytes that are reserved. */
  used(): number {
    return this.#used;
  }

  /** How many models and versions memory is reserved for. */
  models(): number {
    return this.#reservations;
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
   * Reserves memory for a new version beside the one that serves. It counts as an update until `settle` or `release`. If it does not
   * fit, it waits for the updates under way to end, so that several at once evict no more models than one after the other would;
   * then it evicts idle models, those that are used least and least recently first, until the bytes fit.
   * @returns undefined if it does not fit then; nothing is evicted in that case, unless a model becomes busy meanwhile
   */
  async reserveForUpdate(bytes: number, usedSeconds = byOperator): Promise<Reservation | undefined> {
    if (this.#exceedsLimit(bytes)) return undefined;
    const need: Need = { bytes, models: 0, usedSeconds };
    if (!this.#fits(need)) return this.#inUpdateTurn(() => this.#reserveAfterUpdates(need));
    const reservation = this.#open(bytes);
    this.#updates.add(reservation);
    return reservation;
  }

  /**
   * Reserves memory for a model that is not loaded. It evicts idle models until the bytes fit, and waits up to 20 s for busy ones.
   * @param what what the memory is for, in error messages
   * @throws ServingError `NOT_READY` if it does not fit at present, `MODEL_FAILED` if it can never fit
   */
  async reserve(bytes: number, what: string, usedSeconds = byOperator): Promise<Reservation> {
    const until = performance.now() + WAIT_MS;
    const need: Need = { bytes, models: 1, usedSeconds };
    // Bytes that fit need not wait for the evictions of others.
    return this.#fits(need) ? this.#open(bytes) : this.#inTurn(() => this.#waitFor(need, what, until));
  }

  #fits({ bytes, models }: Need, afterEvictionOf: Iterable<Evictable> = []): boolean {
    let used = this.#used;
    let loaded = this.#reservations - this.#updates.size;
    for (const one of afterEvictionOf) {
      const released = one.bytes();
      used -= released;
      if (released > 0) loaded--;
    }
    return loaded + models <= this.maxModels && (this.limit === undefined || used + bytes <= this.limit);
  }

  /** Whether it would fit if all models but those in steady use were evicted, those that are being loaded included. */
  #fitsBesideSteady(need: Need): boolean {
    let used = need.bytes;
    let loaded = need.models;
    for (const one of this.#evictable) {
      const bytes = isSteadyAgainst(one, need) ? one.bytes() : 0;
      used += bytes;
      if (bytes > 0) loaded++;
    }
    return loaded <= this.maxModels && (this.limit === undefined || used <= this.limit);
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
    this.#reservations++;
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
        this.#reservations--;
        change(-own);
      },
    };
    return reservation;
  }

  /** @param waitsForBusy count the busy models as well: the caller tries again until they are idle. */
  async #evictFor(need: Need, waitsForBusy = false): Promise<Reservation | undefined> {
    while (!this.#fits(need)) {
      const replaceable = [...this.#evictable].filter((one) => isReplaceable(one, need));
      const idle = replaceable.filter((one) => one.idle());
      if (!this.#fits(need, waitsForBusy ? replaceable : idle)) return undefined;
      const least = idle.sort((a, b) => a.usedSeconds() - b.usedSeconds() || a.lastUsed() - b.lastUsed())[0];
      if (least === undefined) return undefined;
      await least.evict();
    }
    return this.#open(need.bytes);
  }

  async #reserveAfterUpdates(need: Need): Promise<Reservation | undefined> {
    while (!this.#fits(need) && this.#updates.size > 0) await this.#nextChange();
    const reservation = await this.#inTurn(() => this.#evictFor(need));
    // Added before the turn ends: the update whose turn is next waits for this one.
    if (reservation !== undefined) this.#updates.add(reservation);
    return reservation;
  }

  async #waitFor(need: Need, what: string, until: number): Promise<Reservation> {
    const { bytes } = need;
    const name = this.strict ? 'MODEL_MEMORY_BUDGET' : 'the memory limit';
    if (this.#exceedsLimit(bytes)) {
      const message = `${what} needs about ${megabytes(bytes)} of memory, and ${name} leaves ${megabytes(this.limit!)}`;
      throw new ServingError('MODEL_FAILED', message);
    }
    for (;;) {
      const reservation = await this.#evictFor(need, true);
      if (reservation !== undefined) return reservation;
      const isSteady = !this.#fitsBesideSteady(need);
      if (isSteady || performance.now() >= until) {
        const limits = [
          ...(this.limit === undefined ? [] : [`${name} leaves ${megabytes(this.limit)}`]),
          ...(this.maxModels === Number.POSITIVE_INFINITY ? [] : [`MAX_LOADED_MODELS is ${this.maxModels}`]),
        ];
        const message = `no room for ${what} at present: every loaded model is in use (${limits.join(', ')})`;
        throw new ServingError('NOT_READY', message, { retryAfter: isSteady ? STEADY_RETRY_SECONDS : 1 });
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

function isSteadyAgainst(one: Evictable, { usedSeconds }: Need): boolean {
  return one.usedSeconds() >= STEADY_SECONDS && usedSeconds() !== Number.POSITIVE_INFINITY;
}

const isReplaceable = (one: Evictable, need: Need): boolean =>
  !isSteadyAgainst(one, need) && one.usedSeconds() <= need.usedSeconds();
