import { type BatchProgress, runBatch } from './batch-run.ts';
import { createResultsCsv } from './csv.ts';
import { byId, count, el, urlOf } from './dom.ts';
import { Failure } from './failure.ts';
import type { ModelInfo } from './fields.ts';
import { showFailure } from './result.ts';

/** Connects the section for files: a file is dropped or chosen, its rows are predicted, and the results downloaded. @param modelNow the model that the page shows. */
export function createBatch(modelNow: () => ModelInfo | undefined): void {
  const dropZone = byId('drop');
  const input = byId<HTMLInputElement>('file');
  const cancel = byId<HTMLButtonElement>('cancel');
  const bar = byId<HTMLProgressElement>('progress');
  const progressText = byId('progress-text');
  const result = byId('batch-result');
  let running: AbortController | undefined;

  async function start(file: File): Promise<void> {
    const model = modelNow();
    if (model === undefined || running !== undefined) return;
    const controller = new AbortController();
    running = controller;
    // Blobs, which a browser can keep on disk: the page's memory does not grow with the rows.
    const parts: Blob[] = [];
    const started = performance.now();
    result.replaceChildren();
    bar.value = 0;
    bar.max = Math.max(1, file.size);
    setRunning(true);
    progressText.textContent = `Reading ${file.name}`;
    let last = 0;
    const rate = ({ rows }: BatchProgress): string => count(Math.round((rows * 1000) / (performance.now() - started)));
    try {
      const done = await runBatch(file, {
        url: urlOf('batch_predict?batch_size=64'),
        model,
        signal: controller.signal,
        onResults: (ndjson) => parts.push(new Blob([ndjson])),
        onProgress(progress) {
          bar.value = progress.bytes;
          const now = performance.now();
          // Screen readers announce each change.
          if (now - last < 1000) return;
          last = now;
          progressText.textContent = `${count(progress.rows)} rows, ${count(progress.failed)} failed, ${rate(progress)} rows/s`;
        },
      });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      progressText.textContent = `${count(done.rows)} rows in ${seconds} s, ${count(done.failed)} failed, ${rate(done)} rows/s`;
    } catch (error) {
      progressText.textContent = controller.signal.aborted ? 'Cancelled' : '';
      if (!controller.signal.aborted) result.append(...showFailure(toFailure(error)));
    } finally {
      running = undefined;
      setRunning(false);
      if (parts.length > 0) result.append(downloads(parts, file.name, model));
    }
  }

  function setRunning(isRunning: boolean): void {
    byId('running').hidden = false;
    bar.hidden = !isRunning;
    cancel.hidden = !isRunning;
    input.disabled = isRunning;
    dropZone.classList.remove('over');
  }

  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file !== undefined) void start(file);
    // The same file may be chosen again.
    input.value = '';
  });
  cancel.addEventListener('click', () => running?.abort());
  for (const event of ['dragenter', 'dragover']) {
    dropZone.addEventListener(event, (dragged) => {
      dragged.preventDefault();
      dropZone.classList.add('over');
    });
  }
  dropZone.addEventListener('dragleave', () => dropZone.classList.remove('over'));
  dropZone.addEventListener('drop', (dropped) => {
    dropped.preventDefault();
    dropZone.classList.remove('over');
    const file = dropped.dataTransfer?.files[0];
    if (file !== undefined) void start(file);
  });
}

const toFailure = (error: unknown): Failure =>
  error instanceof Failure ? error : new Failure('This file cannot be used.', (error as Error).message);

function downloads(parts: readonly Blob[], fileName: string, model: ModelInfo): HTMLElement {
  const name = fileName.replace(/\.[^.]*$/, '');
  const ndjson = el('button', { type: 'button' }, 'Download NDJSON');
  const csv = el('button', { type: 'button' }, 'Download CSV');
  ndjson.addEventListener('click', () => save(new Blob([...parts]), `${name}.predictions.ndjson`));
  csv.addEventListener('click', () => {
    void toCsv(parts, model).then((blob) => save(blob, `${name}.predictions.csv`));
  });
  return el('div', { class: 'buttons' }, csv, ndjson);
}

async function toCsv(parts: readonly Blob[], model: ModelInfo): Promise<Blob> {
  const writer = createResultsCsv(model);
  const made = [new Blob([writer.header()])];
  for (const part of parts) made.push(new Blob([writer.rows(await part.text())]));
  return new Blob(made, { type: 'text/csv' });
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  el('a', { href: url, download: name }).click();
  // The download has started by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
