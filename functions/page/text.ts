/** A number with separators between thousands. */
export const count = (number: number): string => number.toLocaleString('en');

/** A number of bytes with its unit, in powers of 1000. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  let size = bytes;
  let unit = 0;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit === 0 ? count(size) : size.toFixed(1)} ${units[unit]}`;
}

/** The first `length` characters of a text, with an ellipsis if it is longer. */
export const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length)}…` : text;

/** A duration in milliseconds with its unit; with a decimal below 10. */
export const millisecondsText = (ms: number): string => `${count(Number(ms.toFixed(ms < 10 ? 1 : 0)))} ms`;
