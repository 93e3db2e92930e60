import type { ModelStatus } from '../model/serving/model.ts';

type Progress = Pick<ModelStatus, 'phase' | 'fetched' | 'bytes' | 'seconds'>;

const PHASES: Readonly<Record<NonNullable<ModelStatus['phase']>, string>> = {
  listing: 'looking for the model',
  fetching: 'fetching',
  loading: 'loading into onnxruntime',
  checking: 'checking its golden rows',
  warming: 'warming up',
};
const BAR = 24;
const DEFAULT_COLUMNS = 80;
const UNITS = ['bytes', 'kB', 'MB', 'GB'];

/**
 * The progress of a load as one line: a bar while its bytes are fetched, else the phase and its seconds.
 * @param uri the address of the model: its name is not known before its files are
 * @param columns of the terminal: a longer line is cut, because one that wraps cannot be rewritten; 0: not known
 */
export function progressLine(status: Progress, uri: string, columns: number): string {
  const { phase = 'listing', fetched, bytes, seconds } = status;
  const line =
    fetched === undefined || !bytes
      ? `loading ${uri}: ${PHASES[phase]}, ${seconds.toFixed(1)} s`
      : `loading ${uri}: ${bar(fetched / bytes)} ${formatBytes(fetched)} of ${formatBytes(bytes)}`;
  return line.slice(0, (columns || DEFAULT_COLUMNS) - 1);
}

function bar(part: number): string {
  const full = Math.round(Math.min(1, part) * BAR);
  return `[${'#'.repeat(full)}${'-'.repeat(BAR - full)}] ${String(Math.floor(Math.min(1, part) * 100)).padStart(3)} %`;
}

/** Bytes with a decimal unit: 1,500,000 is `1.5 MB`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
