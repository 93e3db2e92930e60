import type { Random } from '../fuzz/random.ts';
import type { Target } from './target.ts';

/** A disturbance that goes on until it is stopped. */
export interface Attack {
  /** Ends it, and closes its connections. It may be called when the server has ended. */
  stop(): Promise<void>;
}

/** Disturbs a server that has the models of `models.ts` as its repository. */
export type StartAttack = (target: Target, random: Random) => Attack;

/** Calls `act` every `everyMs` until `stop`; a call that fails, because the server has ended, is ignored. */
export function repeat(everyMs: number, act: () => unknown): Attack {
  const running = new Set<Promise<unknown>>();
  const call = (): void => {
    const once = Promise.resolve()
      .then(act)
      .catch(() => {});
    running.add(once);
    void once.then(() => running.delete(once));
  };
  const timer = setInterval(call, everyMs);
  call();
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}
