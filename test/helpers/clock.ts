/** A clock in milliseconds that stands still until the test moves it. */
export interface Clock {
  now(): number;
  pass(ms: number): void;
}

export function createClock(start = 0): Clock {
  let now = start;
  return {
    now: () => now,
    pass(ms) {
      now += ms;
    },
  };
}
