import { badAnswer } from './client-error.ts';

/** A longer line is taken for a fault: it would have to be held in memory as a whole. */
const LONGEST_LINE = 2 ** 28;

/** The lines of an answer, as they come, without empty ones. Reads no further than the lines that are taken. */
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
      if (rest.length > LONGEST_LINE) throw badAnswer(`a line of the answer has more than ${LONGEST_LINE} characters`);
      if (!done) continue;
      if (rest !== '') yield rest;
      return;
    }
  } finally {
    // Where the end was not reached, the rest is not wanted.
    await reader.cancel().catch(() => {});
  }
}
