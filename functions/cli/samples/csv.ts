import Papa from 'papaparse';
import { ServingError } from '../../errors.ts';

/** A row of a CSV file. */
export interface CsvRow {
  /** The line on which it begins, from 1 on. */
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * Reads a CSV file (RFC 4180). Commas, semicolons or tabs separate the cells; blank lines are left out.
 * @param file its name, for errors
 * @param most the most rows to read
 * @throws ServingError `INVALID_INPUT` for a quote that is not closed
 */
export function readCsv(text: string, file: string, most: number): CsvRow[] {
  const rows: CsvRow[] = [];
  let line = 1;
  let from = 0;
  // Blank lines, whose place is needed below, would be taken for rows of one cell here.
  const delimitersToGuess = [',', ';', '\t'];
  const { delimiter } = Papa.parse<string[]>(text, { preview: 10, skipEmptyLines: 'greedy', delimitersToGuess }).meta;
  Papa.parse<string[]>(text, {
    delimiter,
    step({ data, errors, meta }, parser) {
      const fault = errors.find(({ type }) => type === 'Quotes');
      if (fault !== undefined) throw new ServingError('INVALID_INPUT', `${file}:${line}: ${fault.message}`);
      if (data.length > 1 || data[0]?.trim()) rows.push({ line, cells: data });
      line += countLines(text.slice(from, meta.cursor));
      from = meta.cursor;
      if (rows.length >= most) parser.abort();
    },
  });
  return rows;
}

const countLines = (text: string): number => text.match(/\r\n|\n|\r/g)?.length ?? 0;
