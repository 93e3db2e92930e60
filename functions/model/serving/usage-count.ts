import { setMaxListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Activity } from '../activity.ts';

/** Counts the users of a generation, which is closed when the count is 0. `Generation` describes its methods. */
interface UsageCount {
  hold(): void;
  release(): void;
  idle(): boolean;
  lastUsed(): number;
  readonly activity: Activity;
  readonly superseded: AbortSignal;
  /** Settles when the count is 0. After a while `superseded` asks the remaining users to finish. */
  drained(): Promise<void>;
}

/** A stream may last for hours, and two generations take twice the memory: after this time streams should end. */
const SUPERSEDED_MS = 60_000;
/** A fresh generation counts as used for so long: its first caller has not called `hold()` yet. */
const FRESH_MS = 100;

/** Creates a count of 0. @param supersededMs from the call of `drained` to the abort of `superseded` */
export function createUsageCount(supersededMs = SUPERSEDED_MS): UsageCount {
  const superseded = new AbortController();
  const activity = new Activity();
  // There is one listener for each open stream.
  setMaxListeners(0, superseded.signal);
  const made = performance.now();
  let count = 0;
  let used = made;
  let onIdle: (() => void) | undefined;
  return {
    superseded: superseded.signal,
    hold() {
      count++;
      used = performance.now();
      activity.mark(used);
    },
    release() {
      count--;
      used = performance.now();
      if (count === 0) onIdle?.();
    },
    idle: () => count === 0 && (used !== made || performance.now() - made > FRESH_MS),
    lastUsed: () => used,
    activity,
    async drained() {
      // A caller that received it in this turn calls `hold()` before the next.
      await turn();
      const timer = setTimeout(() => superseded.abort(), supersededMs);
      timer.unref();
      while (count > 0) {
        await new Promise<void>((resolve) => {
          onIdle = resolve;
        });
        await turn();
      }
      clearTimeout(timer);
    },
  };
}
