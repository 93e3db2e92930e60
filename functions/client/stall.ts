/** Finds out that an answer does not begin. */
export interface Stall {
  state(): 'waiting' | 'stalled' | 'answered';
  /** Settles once it has stalled. */
  readonly over: Promise<void>;
  /** The response has begun, or is no longer wanted. */
  end(): void;
}

export function createStall(ms: number): Stall {
  let state: ReturnType<Stall['state']> = 'waiting';
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      state = 'stalled';
      resolve();
    }, ms);
  });
  return {
    state: () => state,
    over,
    end() {
      if (state === 'waiting') state = 'answered';
      clearTimeout(timer);
    },
  };
}
