import type { ModelStatus } from '../../model/serving/model.ts';
import { bar } from '../terminal/bar.ts';
import { formatBytes } from '../terminal/format.ts';

type Progress = Pick<ModelStatus, 'phase' | 'fetched' | 'bytes' | 'seconds'>;

const PHASES: Readonly<Record<NonNullable<ModelStatus['phase']>, string>> = {
  listing: 'looking for the model',
  fetching: 'fetching',
  loading: 'loading into onnxruntime',
  checking: 'checking its golden rows',
  warming: 'warming up',
};
const DEFAULT_COLUMNS = 80;

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
