import { setImmediate as turn } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';
import { type RequestContext, sendBytes } from '../../http/request-context.ts';

/** Characters that are converted before other requests get their turn: they take about a millisecond. */
const PIECE_CHARACTERS = 2 ** 18;
/** The most characters of all rows of a response, which are in memory at once. */
const MAX_CHARACTERS = 2 ** 27;

/**
 * Sends a JSON text of many rows, with commas between them.
 * @param rows JSON texts
 * @param around what stands before and after them
 * @param fields name and value in turn
 * @throws ServingError `TOO_LARGE` if they are too long for one response
 */
export async function sendRows(
  context: RequestContext,
  rows: readonly string[],
  [open, close]: readonly [open: string, close: string],
  fields: readonly string[],
): Promise<void> {
  const pieces: Buffer[] = [];
  let text = open;
  let characters = 0;
  for (const [i, row] of rows.entries()) {
    text += i === 0 ? row : `,${row}`;
    if (text.length < PIECE_CHARACTERS) continue;
    characters += text.length;
    if (characters > MAX_CHARACTERS) throw tooLong();
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
