import { parseJson } from '../json.ts';
import type { ModelInfo } from '../model.ts';
import { titleOf } from '../result/words.ts';
import { createResultsCsv, type ResultRow, writeCsv } from './csv.ts';
import { createHistogram, type Histogram } from './histogram.ts';
import type { Line, Table } from './rows.ts';

/** Rows and failures that are shown; the downloads have all. */
const SHOWN = 100;

/** A row that is shown. */
export interface ShownRow {
  /** From 1. */
  readonly number: number;
  readonly cells: readonly string[];
  readonly title: string;
  /** Why it failed. */
  readonly reason?: string;
}

/** The results of a file so far. The memory does not grow with it: a browser can keep Blobs on disk. */
export interface Results {
  readonly table: Table;
  readonly rows: readonly ShownRow[];
  readonly failures: readonly ShownRow[];
  readonly histogram: Pick<Histogram, 'counts'>;
  add(ndjson: string, lines: readonly Line[]): void;
  ndjson(): Blob;
  csv(): Blob;
}

/** Collects the results of a file. */
export function createResults(model: ModelInfo, table: Table): Results {
  const writer = createResultsCsv(model, table.names);
  const ndjsonParts: Blob[] = [];
  const csvParts: Blob[] = [new Blob([writer.header()])];
  const rows: ShownRow[] = [];
  const failures: ShownRow[] = [];
  const histogram = createHistogram();

  function addRow(result: ResultRow, cells: readonly string[]) {
    const { index, error, prediction, label, outputs = {} } = result;
    const reason = error && table.explain(error.message, error.path, cells);
    const isShown = rows.length < SHOWN || (reason !== undefined && failures.length < SHOWN);
    if (isShown) {
      const title = reason ?? titleOf(model, { prediction, outputs, ...(label !== undefined && { label }) });
      const row = { number: index + 1, cells, title, ...(reason !== undefined && { reason }) };
      if (rows.length < SHOWN) rows.push(row);
      if (reason !== undefined && failures.length < SHOWN) failures.push(row);
    }
    if (reason === undefined) histogram.add(label, prediction);
    return writer.row(result, cells, reason);
  }

  return {
    table,
    rows,
    failures,
    histogram,
    add(ndjson, lines) {
      ndjsonParts.push(new Blob([ndjson]));
      const results = ndjson.split('\n').filter((line) => line !== '');
      const made = results.map((line, i) => addRow(parseJson(line) as ResultRow, lines[i]?.cells ?? []));
      csvParts.push(new Blob([writeCsv(made)]));
    },
    ndjson: () => new Blob(ndjsonParts, { type: 'application/x-ndjson' }),
    csv: () => new Blob(csvParts, { type: 'text/csv' }),
  };
}
