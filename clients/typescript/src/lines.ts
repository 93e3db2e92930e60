import { badAnswer } from './client-error.ts';

/** Most characters of a line: a longer one is an error, as a complete line is kept in memory. */
const LONGEST_LINE = 2 ** 28;

/**
 * Yields the lines of a response as they arrive, without empty ones. Reads no further than the lines that are consumed.
 * @throws ClientError `BAD_ANSWER` for a line of more than 2^28 characters.
 */
export async function* readLines({ body }: Response): AsyncGenerator<string, void, undefined> {
  const reader = body!.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const text = rest + (done ? decoder.decode() : decoder.decode(value, { stream: true }));
      let from = 0;
      for (let to = text.indexOf('\n', rest.length); to !== -1; to = text.indexOf('\n', from)) {
        if (to > from) yield text.slice(from, to);
        from = to + 1;
      }
      rest = text.slice(from);
      if (rest.length > LONGEST_LINE)
        throw badAnswer(`a line of the response has more than ${LONGEST_LINE} characters`);
      if (!done) continue;
      if (rest !== '') yield rest;
      return;
    }
  } finally {
    // If the end was not reached, the rest is not needed.
    await reader.cancel().catch(() => {});
  }
}
