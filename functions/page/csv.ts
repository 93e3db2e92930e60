const QUOTE = '"';
/** A quote that is never closed must not gather a whole file. */
const MAX_FIELD = 32 * 2 ** 20;

export interface CsvReader {
  /** The rows that a piece of text completes. */
  push(text: string): string[][];
  /** The last row, where no line break ends it. */
  end(): string[][];
}

/**
 * Reads CSV (RFC 4180) a piece at a time: fields in quotes may hold separators, line breaks and doubled quotes. The
 * separator is a comma, a semicolon or a tab: whichever the first line has most
 * of, and of as many not the comma, which numbers may have. Empty lines are left out.
 */
export function createCsvReader(): CsvReader {
  let separator: string | undefined;
  let held = '';
  let row: string[] = [];
  let field = '';
  let quoted = false;
  /** After a quote within quotes: the end of them, or the first half of a doubled one. */
  let closing = false;

  function read(text: string, rows: string[][]): void {
    for (const char of text) {
      if (quoted && !closing) {
        if (char === QUOTE) closing = true;
        else field += char;
        continue;
      }
      if (closing && char === QUOTE) {
        closing = false;
        field += char;
        continue;
      }
      if (closing) {
        closing = false;
        quoted = false;
      }
      if (char === separator) endField();
      else if (char === '\n' || char === '\r') endRow(rows);
      else if (char === QUOTE && field === '') quoted = true;
      else field += char;
    }
  }

  function endField(): void {
    row.push(field);
    field = '';
  }

  function endRow(rows: string[][]): void {
    const isEmpty = row.length === 0 && field === '';
    endField();
    if (!isEmpty) rows.push(row);
    row = [];
  }

  function choose(text: string): void {
    const line = text.slice(0, /[\r\n]/.exec(text)?.index).replace(/"[^"]*"/g, '');
    const count = (char: string): number => line.split(char).length;
    separator = ['\t', ';', ','].reduce((best, char) => (count(char) > count(best) ? char : best));
  }

  return {
    push(text) {
      const rows: string[][] = [];
      let piece = text;
      if (separator === undefined) {
        held += text;
        if (!/[\r\n]/.test(held)) return rows;
        choose(held);
        piece = held;
        held = '';
      }
      read(piece, rows);
      if (field.length > MAX_FIELD) throw new Error('A field is longer than 32 MB: is a quote left open?');
      return rows;
    },
    end() {
      const rows: string[][] = [];
      if (separator === undefined) {
        choose(held);
        read(held, rows);
      }
      if (row.length > 0 || field !== '') endRow(rows);
      return rows;
    },
  };
}

/** One row of CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function csvLine(cells: readonly (string | number | bigint | boolean | null | undefined)[]): string {
  const shown = cells.map((cell) => {
    if (typeof cell !== 'string') return String(cell ?? '');
    const safe =
      /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)) && !/^-Infinity$/.test(cell) ? `'${cell}` : cell;
    return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  });
  return `${shown.join(',')}\r\n`;
}
