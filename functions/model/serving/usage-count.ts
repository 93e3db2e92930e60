import { setMaxListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';

/** Who still works with something that is to go. */
export interface Holds {
  hold(): void;
  release(): void;
  idle(): boolean;
  lastUsed(): number;
  readonly outdated: AbortSignal;
  /** Settles when nobody holds it. After a while those who still do are told that it is outdated. */
  left(): Promise<void>;
}

/** A stream may last for hours, and two generations take the memory of two: after this it is told to go on with the new one. */
const PATIENCE_MS = 60_000;
/** One that was waited for is not idle yet: who waited takes hold of it only a moment later. */
const FRESH_MS = 100;

export function createHolds(patienceMs = PATIENCE_MS): Holds {
  const outdated = new AbortController();
  // One listener for each stream under way.
  setMaxListeners(0, outdated.signal);
  const made = performance.now();
  let count = 0;
  let used = made;
  let onIdle: (() => void) | undefined;
  return {
    outdated: outdated.signal,
    hold() {
      count++;
      used = performance.now();
    },
    release() {
      count--;
      used = performance.now();
      if (count === 0) onIdle?.();
    },
    idle: () => count === 0 && (used !== made || performance.now() - made > FRESH_MS),
    lastUsed: () => used,
    async left() {
      // Who was handed it in this turn takes hold of it before the next.
      await turn();
      const timer = setTimeout(() => outdated.abort(), patienceMs);
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
