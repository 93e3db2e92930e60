import { ServingError } from '../errors.ts';

/** Something loaded that can be unloaded to make room for something else. */
export interface Evictable {
  /** Milliseconds of `performance.now()`. */
  lastUsed(): number;
  /** It has no work in progress, and may be unloaded. */
  idle(): boolean;
  /** Unloads it; settles when its memory is free. */
  unload(): Promise<void>;
}

/** A share of the memory. */
export interface Reservation {
  readonly bytes: number;
  /** Takes more or less; a share that is already taken is not refused. */
  resize(bytes: number): void;
  release(): void;
}

/** The memory that models may take, shared among those that are loaded. */
export interface MemoryBudget {
  /** Bytes; undefined where nothing limits it. */
  readonly limit: number | undefined;
  /** The operator set it: an estimate above it is refused. */
  readonly strict: boolean;
  used(): number;
  /** Bytes that are not reserved. */
  free(): number;
  /** Unloads idle tenants, the least recently used first, until the bytes fit. @returns undefined where they do not. */
  take(bytes: number): Promise<Reservation | undefined>;
  /**
   * Like `take`, and waits a while for tenants that are busy.
   * @param what it is for, in the message.
   * @throws ServingError `NOT_READY`, to come again, or `MODEL_FAILED` where it could never fit.
   */
  wait(bytes: number, what: string): Promise<Reservation>;
  join(tenant: Evictable): void;
  leave(tenant: Evictable): void;
}

/** How long a load waits for busy models to become idle: well within a request's deadline. */
const WAIT_MS = 20_000;
const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/**
 * @param strict see {@link MemoryBudget}.
 */
export function createBudget(limit: number | undefined, strict = false): MemoryBudget {
  const name = strict ? 'MODEL_MEMORY_BUDGET' : 'the memory limit';
  const tenants = new Set<Evictable>();
  const waiting: { go(): void }[] = [];
  let used = 0;
  /** One at a time, in the order they came: else many small ones would keep a large one out for ever. */
  let queue: Promise<unknown> = Promise.resolve();

  const fits = (bytes: number): boolean => limit === undefined || used + bytes <= limit;

  function open(bytes: number): Reservation {
    let own = bytes;
    let released = false;
    used += bytes;
    return {
      get bytes() {
        return own;
      },
      resize(next) {
        if (released) return;
        used += next - own;
        own = next;
        wake();
      },
      release() {
        if (released) return;
        released = true;
        used -= own;
        wake();
      },
    };
  }

  function wake(): void {
    for (const one of waiting.splice(0)) one.go();
  }

  async function take(bytes: number): Promise<Reservation | undefined> {
    while (!fits(bytes)) {
      const idle = [...tenants].filter((tenant) => tenant.idle());
      const oldest = idle.reduce<Evictable | undefined>(
        (least, tenant) => (least === undefined || tenant.lastUsed() < least.lastUsed() ? tenant : least),
        undefined,
      );
      if (oldest === undefined) return undefined;
      await oldest.unload();
    }
    return open(bytes);
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work);
    queue = turn.catch(() => {});
    return turn;
  }

  async function waitFor(bytes: number, what: string, until: number): Promise<Reservation> {
    if (limit !== undefined && bytes > limit) {
      throw new ServingError(
        'MODEL_FAILED',
        `${what} needs about ${megabytes(bytes)} of memory, and ${name} leaves ${megabytes(limit)}`,
      );
    }
    for (;;) {
      const room = await take(bytes);
      if (room !== undefined) return room;
      if (performance.now() >= until) {
        const message = `no memory for ${what} at present: every loaded model is in use (${name} leaves ${megabytes(limit!)})`;
        throw new ServingError('NOT_READY', message, { retryAfter: 1 });
      }
      await new Promise<void>((resolve) => {
        // A tenant that becomes idle sends no event, so it is polled.
        const timer = setTimeout(resolve, 25);
        waiting.push({
          go() {
            clearTimeout(timer);
            resolve();
          },
        });
      });
    }
  }

  return {
    limit,
    strict,
    used: () => used,
    free: () => (limit === undefined ? Number.POSITIVE_INFINITY : limit - used),
    // A reservation that fits need not queue behind those that wait for an unload.
    take: async (bytes) => (fits(bytes) ? open(bytes) : inTurn(() => take(bytes))),
    async wait(bytes, what) {
      const until = performance.now() + WAIT_MS;
      return fits(bytes) ? open(bytes) : inTurn(() => waitFor(bytes, what, until));
    },
    join: (tenant) => void tenants.add(tenant),
    leave: (tenant) => void tenants.delete(tenant),
  };
}
