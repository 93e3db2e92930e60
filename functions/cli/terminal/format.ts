const UNITS = ['bytes', 'kB', 'MB', 'GB'];
const COUNT = new Intl.NumberFormat('en-US');

/** Bytes with a decimal unit: 1,500,000 is `1.5 MB`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

/** Milliseconds with three digits, from a second on as seconds and from two minutes on as minutes: `0.123 ms`, `45.6 ms`, `1.23 s`. */
export function formatMs(ms: number): string {
  if (ms >= 120_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  return ms >= 999.5 ? `${digits(ms / 1000)} s` : `${digits(ms)} ms`;
}

/** A whole number with commas: 1234567 is `1,234,567`. */
export function formatCount(count: number): string {
  return COUNT.format(Math.round(count));
}

/** A part of a whole as a percentage: 0.1234 is `12.3 %`. */
export function formatShare(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

/** A number and its noun: `1 row`, `1,000 rows`. @param plural default: the noun with an s */
export function formatNumberOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** A text of a file or a server on one line, with its control characters as escapes: they could move the cursor or hide text. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (found) => `\\u${found.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  );
}

/** Three significant digits, and no more than three decimals. */
function digits(value: number): string {
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3);
}
