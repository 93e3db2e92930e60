import type { Runner } from '../engine/batcher.ts';

/** The pictures that the models of a server may decode at the same time, whatever the number of their processes. */
export interface PictureTurns {
  /** Pictures that could begin now. */
  free(): number;
  begin(): void;
  /** Ends a turn, and calls the listeners, beginning with another each time. */
  end(): void;
  /** @param listener called whenever a turn has ended. @returns removes the listener */
  onFree(listener: () => void): () => void;
}

/** @param most pictures at the same time */
export function createPictureTurns(most: number): PictureTurns {
  const listeners: (() => void)[] = [];
  let taken = 0;
  return {
    free: () => most - taken,
    begin() {
      taken++;
    },
    end() {
      taken--;
      const first = listeners.shift();
      if (first !== undefined) listeners.push(first);
      for (const listener of [...listeners]) listener();
    },
    onFree(listener) {
      listeners.push(listener);
      return () => void listeners.splice(listeners.indexOf(listener), 1);
    },
  };
}

/** A runner each of whose runs takes a turn. `leave` ends its calls of `onFree`. */
export function inTurns<R extends Runner>(runner: R, turns: PictureTurns): R & { leave(): void } {
  let leave = (): void => {};
  return {
    ...runner,
    free: () => Math.min(runner.free(), turns.free()),
    async run(inputs) {
      turns.begin();
      try {
        return await runner.run(inputs);
      } finally {
        turns.end();
      }
    },
    onFree(listener) {
      runner.onFree(listener);
      leave = turns.onFree(listener);
    },
    leave: () => leave(),
  };
}
