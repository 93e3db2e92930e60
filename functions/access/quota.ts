import { ServingError } from '../errors.ts';

/** What a caller may send; a limit that is undefined does not apply. */
export interface QuotaLimits {
  /** Requests per second. */
  readonly requests?: number | undefined;
  /** Rows per second. */
  readonly rows?: number | undefined;
  /** Requests at the same time. */
  readonly concurrency?: number | undefined;
}

/** The requests and rows of one caller, and how many more it may send. */
export class Quota {
  readonly limits: QuotaLimits;
  readonly #now: () => number;
  readonly #requests: Bucket | undefined;
  readonly #rows: Bucket | undefined;
  readonly #policy: string;
  #running = 0;

  /** @param now milliseconds of a clock that never goes back. */
  constructor(limits: QuotaLimits, now: () => number = () => performance.now()) {
    const { requests, rows, concurrency } = limits;
    this.limits = limits;
    this.#now = now;
    this.#requests = requests === undefined ? undefined : new Bucket(requests, now());
    this.#rows = rows === undefined ? undefined : new Bucket(rows, now());
    this.#policy = [
      requests === undefined ? [] : `"requests";q=${requests};w=1`,
      rows === undefined ? [] : `"rows";q=${rows};w=1;qu="rows"`,
      concurrency === undefined ? [] : `"concurrency";q=${concurrency};qu="concurrent-requests"`,
    ]
      .flat()
      .join(', ');
  }

  /** Whether it limits requests at the same time: `end` must be called for each request then. */
  get limitsConcurrency(): boolean {
    return this.limits.concurrency !== undefined;
  }

  /** Counts a request as started. @throws ServingError `QUOTA_EXCEEDED`; the request is not counted then. */
  start(): void {
    const { requests, rows, concurrency } = this.limits;
    const now = this.#now();
    if (concurrency !== undefined && this.#running >= concurrency) {
      throw exceeded(`${concurrency} requests at the same time`, 1);
    }
    const rowWait = this.#rows?.wait(now) ?? 0;
    if (rowWait > 0) throw exceeded(`${rows} rows per second`, rowWait);
    const wait = this.#requests?.wait(now) ?? 0;
    if (wait > 0) throw exceeded(`${requests} requests per second`, wait);
    this.#requests?.take(1);
    this.#running += 1;
  }

  /** Counts a started request as ended. */
  end(): void {
    this.#running -= 1;
  }

  /**
   * Charges the rows of a request. A request may have more rows than are left: requests after it are refused until the difference
   * has been made up for.
   * @throws ServingError `QUOTA_EXCEEDED` if no row is left; nothing is charged then.
   */
  chargeRows(rows: number): void {
    const wait = this.#rows?.wait(this.#now()) ?? 0;
    if (wait > 0) throw exceeded(`${this.limits.rows} rows per second`, wait);
    this.#rows?.take(rows);
  }

  /** Charges rows of a stream. @returns the milliseconds that they have to wait for their turn; 0: none. */
  delayRows(rows: number): number {
    const seconds = this.#rows?.wait(this.#now()) ?? 0;
    this.#rows?.take(rows);
    return Math.ceil(seconds * 1000);
  }

  /**
   * The header fields of a response, as of now, name and value in turn: `RateLimit-Policy` has the limits, `RateLimit` what is left of
   * them, and the seconds until they are whole again (draft-ietf-httpapi-ratelimit-headers-10).
   */
  fields(): string[] {
    const now = this.#now();
    const { concurrency } = this.limits;
    let state = this.#requests === undefined ? '' : `, "requests";${this.#requests.left(now)}`;
    if (this.#rows !== undefined) state += `, "rows";${this.#rows.left(now)}`;
    if (concurrency !== undefined) state += `, "concurrency";r=${Math.max(0, concurrency - this.#running)}`;
    return ['RateLimit-Policy', this.#policy, 'RateLimit', state.slice(2)];
  }
}

/** A token bucket: it holds what may be taken within a second, and may be overdrawn once. */
class Bucket {
  readonly #perSecond: number;
  #level: number;
  #filledAt: number;

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#level = perSecond;
    this.#filledAt = now;
  }

  /** Seconds until at least one may be taken; 0: now. */
  wait(now: number): number {
    this.#fill(now);
    return this.#level >= 1 ? 0 : (1 - this.#level) / this.#perSecond;
  }

  take(amount: number): void {
    this.#level -= amount;
  }

  /** What may be taken, and the seconds until the bucket is full. */
  left(now: number): string {
    this.#fill(now);
    const seconds = Math.ceil((this.#perSecond - this.#level) / this.#perSecond);
    return `r=${Math.max(0, Math.floor(this.#level))};t=${seconds}`;
  }

  #fill(now: number): void {
    this.#level = Math.min(this.#perSecond, this.#level + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
  }
}

function exceeded(limit: string, waitSeconds: number): ServingError {
  const message = `the quota of this caller is ${limit}`;
  return new ServingError('QUOTA_EXCEEDED', message, { retryAfter: Math.max(1, Math.ceil(waitSeconds)) });
}
