/** A generator of random numbers: the same seed gives the same numbers. */
export interface Random {
  /** From 0 to 1, 1 excluded. */
  uniform(): number;
  /** Of mean 0 and standard deviation 1. */
  normal(): number;
  /** From 0 to `below` - 1. */
  integer(below: number): number;
}

/** Mulberry32, and normal numbers by Box and Muller. @param seed a 32-bit integer */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    integer: (below) => Math.floor(uniform() * below),
  };
}
