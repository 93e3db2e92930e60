import { setImmediate as turn } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';
import { type RequestContext, sendBytes } from '../../http/request-context.ts';

/** Characters that are converted before other requests get their turn: they take about a millisecond. */
const PIECE_CHARACTERS = 2 ** 18;
/** The most characters of all rows of a response, which are in memory at once. */
const MAX_CHARACTERS = 2 ** 27;

/** The JSON texts of the rows of a response, in any order. */
export class RowTexts {
  readonly texts: string[];
  #characters = 0;

  constructor(rows: number) {
    this.texts = new Array<string>(rows);
  }

  /** @throws ServingError `TOO_LARGE` if all are too long for one response */
  set(row: number, text: string): void {
    this.#characters += text.length;
    if (this.#characters > MAX_CHARACTERS) throw tooLong();
    this.texts[row] = text;
  }
}

/**
 * Sends a JSON text of many rows, with commas between them.
 * @param around what stands before and after them
 * @param fields name and value in turn
 */
export async function sendRows(
  context: RequestContext,
  { texts }: RowTexts,
  [open, close]: readonly [open: string, close: string],
  fields: readonly string[],
): Promise<void> {
  const pieces: Buffer[] = [];
  let text = open;
  for (const [i, row] of texts.entries()) {
    text += i === 0 ? row : `,${row}`;
    if (text.length < PIECE_CHARACTERS) continue;
    pieces.push(Buffer.from(text));
    text = '';
    await turn();
    if (context.cancellation.cancelled) return;
  }
  pieces.push(Buffer.from(text + close));
  if (context.cancellation.cancelled) return;
  sendBytes(context, 200, ['Content-Type', 'application/json', ...fields], pieces);
}

function tooLong(): ServingError {
  const message = `the results take more than ${MAX_CHARACTERS} characters: send fewer texts in one request`;
  return new ServingError('TOO_LARGE', message);
}
