/** When refusals of a full queue are sent. */
export interface RefusalPace {
  /** @returns undefined if the refusal may be sent now, else a promise that resolves when it may. */
  wait(): Promise<void> | undefined;
  /** Sends all refusals that wait, and later ones at once. */
  stop(): void;
}

/** At some 50 us of the serving thread each, a tenth of its time. */
const PER_SECOND = 2000;
/** Refusals that are sent at once after a quiet time. */
const BURST = 200;
/** The shortest `Retry-After` is a second as well: a client that obeys it loses little by another. */
const LONGEST_MS = 1000;
const TICK_MS = 10;

/**
 * Limits the rate of refusals, because a client that sends its request again at once after a refusal costs nearly as much as one
 * that is served: a thousand of them would leave the server no time for predictions. A delayed refusal delays the next
 * request of its connection.
 * @param now a monotonic clock in milliseconds.
 */
export function createRefusalPace(now: () => number = () => performance.now()): RefusalPace {
  let waiting: { readonly since: number; send(): void }[] = [];
  let allowed = BURST;
  let countedAt = now();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function allow(): void {
    const at = now();
    allowed = Math.min(BURST, allowed + ((at - countedAt) * PER_SECOND) / 1000);
    countedAt = at;
  }

  function send(count: number): void {
    const due = waiting.slice(0, count);
    waiting = waiting.slice(count);
    for (const { send } of due) send();
    if (waiting.length > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  function tick(): void {
    allow();
    const late = now() - LONGEST_MS;
    let count = Math.min(waiting.length, Math.floor(allowed));
    while (count < waiting.length && waiting[count]!.since <= late) count++;
    allowed = Math.max(0, allowed - count);
    send(count);
  }

  return {
    wait() {
      allow();
      if (stopped || (waiting.length === 0 && allowed >= 1)) {
        allowed--;
        return undefined;
      }
      timer ??= setInterval(tick, TICK_MS);
      return new Promise((resolve) => waiting.push({ since: now(), send: resolve }));
    },
    stop() {
      stopped = true;
      send(waiting.length);
    },
  };
}
