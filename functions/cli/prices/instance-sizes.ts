/**
 * The instances of Cloud Run: the least memory in GiB of so many CPUs, and the most. From
 * https://cloud.google.com/run/docs/configuring/services/memory-limits.
 */
export const INSTANCE_SIZES: readonly [cpu: number, least: number, most: number][] = [
  [1, 0.5, 4],
  [2, 0.5, 8],
  [4, 2, 16],
  [6, 4, 24],
  [8, 4, 32],
];
