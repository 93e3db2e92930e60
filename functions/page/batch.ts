import { createAnswersCsv } from './answers-csv.ts';
import { type BatchProgress, runBatch } from './batch-run.ts';
import { at, byId, count, el } from './dom.ts';
import { Failure } from './failure.ts';
import type { ModelInfo } from './fields.ts';
import { showFailure } from './result.ts';

/** Rows of a file, through the model and back: dropped or chosen, cancelled, downloaded. */
export function createBatch(modelNow: () => ModelInfo | undefined): void {
  const drop = byId('drop');
  const input = byId<HTMLInputElement>('file');
  const cancel = byId<HTMLButtonElement>('cancel');
  const bar = byId<HTMLProgressElement>('progress');
  const told = byId('progress-text');
  const result = byId('batch-result');
  let under: AbortController | undefined;

  async function start(file: File): Promise<void> {
    const model = modelNow();
    if (model === undefined || under !== undefined) return;
    const controller = new AbortController();
    under = controller;
    // Blobs, which a browser keeps on disk where they are many: the page's memory does not grow with the rows.
    const parts: Blob[] = [];
    const started = performance.now();
    result.replaceChildren();
    bar.value = 0;
    bar.max = Math.max(1, file.size);
    setRunning(true);
    told.textContent = `Reading ${file.name}`;
    let last = 0;
    const rate = ({ rows }: BatchProgress): string => count(Math.round((rows * 1000) / (performance.now() - started)));
    try {
      const done = await runBatch(file, {
        url: at('batch_predict?batch_size=64'),
        model,
        signal: controller.signal,
        onAnswers: (ndjson) => parts.push(new Blob([ndjson])),
        onProgress(progress) {
          bar.value = progress.bytes;
          const now = performance.now();
          // Screen readers read each change out.
          if (now - last < 1000) return;
          last = now;
          told.textContent = `${count(progress.rows)} rows, ${count(progress.failed)} failed, ${rate(progress)} rows/s`;
        },
      });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      told.textContent = `${count(done.rows)} rows in ${seconds} s, ${count(done.failed)} failed, ${rate(done)} rows/s`;
    } catch (error) {
      told.textContent = controller.signal.aborted ? 'Cancelled' : '';
      if (!controller.signal.aborted) result.append(...showFailure(toFailure(error)));
    } finally {
      under = undefined;
      setRunning(false);
      if (parts.length > 0) result.append(downloads(parts, file.name, model));
    }
  }

  function setRunning(running: boolean): void {
    byId('running').hidden = false;
    bar.hidden = !running;
    cancel.hidden = !running;
    input.disabled = running;
    drop.classList.remove('over');
  }

  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file !== undefined) void start(file);
    // The same file may be chosen again.
    input.value = '';
  });
  cancel.addEventListener('click', () => under?.abort());
  for (const event of ['dragenter', 'dragover']) {
    drop.addEventListener(event, (dragged) => {
      dragged.preventDefault();
      drop.classList.add('over');
    });
  }
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (dropped) => {
    dropped.preventDefault();
    drop.classList.remove('over');
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
  const writer = createAnswersCsv(model);
  const made = [new Blob([writer.header()])];
  for (const part of parts) made.push(new Blob([writer.rows(await part.text())]));
  return new Blob(made, { type: 'text/csv' });
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  el('a', { href: url, download: name }).click();
  // The download has begun by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
