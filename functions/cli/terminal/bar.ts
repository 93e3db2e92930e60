const WIDTH = 24;

/** A bar with a percentage: `[############------------]  50 %`. @param part of the whole, 0 to 1 */
export function bar(part: number): string {
  const known = Math.max(0, Math.min(1, part));
  const full = Math.round(known * WIDTH);
  return `[${'#'.repeat(full)}${'-'.repeat(WIDTH - full)}] ${String(Math.floor(known * 100)).padStart(3)} %`;
}
