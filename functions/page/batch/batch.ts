import { byId, el, urlOf } from '../dom.ts';
import { toFailure } from '../failure.ts';
import { listenForDrops } from '../media/drop.ts';
import { type ModelInfo, pathOf, type Target } from '../model.ts';
import { showFailure } from '../result/result.ts';
import { count } from '../text.ts';
import { type BatchProgress, runBatch } from './batch-run.ts';
import { createResults, type Results } from './results.ts';
import { createLineMaker, type Line, type Table } from './rows.ts';
import { showPreview, showResults } from './tables.ts';

/** The model that files are sent to. */
export interface Shown {
  readonly model: ModelInfo;
  readonly target: Target;
}

const UNUSABLE = 'This file cannot be used.';
/** Bytes of a file that are read for its preview. */
const PREVIEW_BYTES = 2 ** 20;
const PREVIEW_ROWS = 5;

/** The columns and the first rows of a file. @throws Error if it cannot be read. */
async function readPreview(file: File, model: ModelInfo): Promise<{ table: Table; lines: readonly Line[] }> {
  const maker = createLineMaker(model);
  const lines = maker.push(new TextDecoder().decode(await file.slice(0, PREVIEW_BYTES).arrayBuffer()));
  if (file.size <= PREVIEW_BYTES) lines.push(...maker.end());
  const table = maker.table();
  if (table === undefined || lines.length === 0) throw new Error('It has no rows.');
  return { table, lines: lines.slice(0, PREVIEW_ROWS) };
}

/** Connects the section for files: a file is dropped or chosen and previewed, its rows are predicted, and the results shown. @param shownNow the model that the page shows. */
export function createBatch(shownNow: () => Shown | undefined): { clear(): void } {
  const input = byId<HTMLInputElement>('file');
  const cancel = byId<HTMLButtonElement>('cancel');
  const bar = byId<HTMLProgressElement>('progress');
  const progressText = byId('progress-text');
  const result = byId('batch-result');
  let running: AbortController | undefined;

  async function preview(file: File): Promise<void> {
    const shown = shownNow();
    if (shown === undefined || running !== undefined) return;
    byId('running').hidden = true;
    try {
      const { table, lines } = await readPreview(file, shown.model);
      const button = el('button', { type: 'button', class: 'main' }, 'Predict all rows');
      button.addEventListener('click', () => void start(file, table, shown));
      result.replaceChildren(
        el('h3', {}, file.name),
        ...showPreview(table, lines),
        el('div', { class: 'buttons' }, button),
      );
      button.focus({ preventScroll: true });
    } catch (error) {
      result.replaceChildren(...showFailure(toFailure(error, UNUSABLE)));
    }
  }

  async function start(file: File, table: Table, { model, target }: Shown): Promise<void> {
    if (running !== undefined) return;
    const controller = new AbortController();
    running = controller;
    const results = createResults(model, table);
    const started = performance.now();
    result.replaceChildren();
    bar.value = 0;
    bar.max = Math.max(1, file.size);
    setRunning(true);
    progressText.textContent = `Reading ${file.name}`;
    let last = 0;
    let now: BatchProgress = { bytes: 0, rows: 0, failed: 0 };
    const rate = (): string => count(Math.round((now.rows * 1000) / (performance.now() - started)));
    try {
      await runBatch(file, {
        url: urlOf(`${pathOf(target, 'batch_predict')}?batch_size=64`),
        maker: createLineMaker(model),
        signal: controller.signal,
        onResults: results.add,
        onProgress(progress) {
          now = progress;
          bar.value = progress.bytes;
          // Screen readers announce each change.
          if (performance.now() - last < 1000) return;
          last = performance.now();
          progressText.textContent = `${count(now.rows)} rows, ${count(now.failed)} failed, ${rate()} rows/s`;
        },
      });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      progressText.textContent = `${count(now.rows)} rows in ${seconds} s, ${count(now.failed)} failed, ${rate()} rows/s`;
    } catch (error) {
      progressText.textContent = controller.signal.aborted ? 'Cancelled' : '';
      if (!controller.signal.aborted) result.append(...showFailure(toFailure(error, UNUSABLE)));
    } finally {
      running = undefined;
      setRunning(false);
      if (results.rows.length > 0) result.append(downloads(results, file.name), ...showResults(results, now.failed));
    }
  }

  function setRunning(isRunning: boolean): void {
    byId('running').hidden = false;
    bar.hidden = !isRunning;
    cancel.hidden = !isRunning;
    input.disabled = isRunning;
  }

  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file !== undefined) void preview(file);
    // The same file may be chosen again.
    input.value = '';
  });
  cancel.addEventListener('click', () => running?.abort());
  listenForDrops(byId('drop'), (file) => void preview(file));
  return {
    clear() {
      running?.abort();
      result.replaceChildren();
      byId('running').hidden = true;
    },
  };
}

function downloads(results: Results, fileName: string): HTMLElement {
  const name = fileName.replace(/\.[^.]*$/, '');
  const csv = el('button', { type: 'button' }, 'Download CSV');
  const ndjson = el('button', { type: 'button' }, 'Download NDJSON');
  csv.addEventListener('click', () => save(results.csv(), `${name}.predictions.csv`));
  ndjson.addEventListener('click', () => save(results.ndjson(), `${name}.predictions.ndjson`));
  return el('div', { class: 'buttons' }, csv, ndjson);
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  el('a', { href: url, download: name }).click();
  // The download has started by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
