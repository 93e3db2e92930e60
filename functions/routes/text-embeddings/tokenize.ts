import { setImmediate as turn } from 'node:timers/promises';
import { chargeRows } from '../../http/quota.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { CHUNK_ROWS } from '../../model/serving/predict-chunks.ts';
import type { TextSettings } from '../../text/settings.ts';
import { readFlag, readName } from '../texts/fields.ts';
import { readTextList } from '../texts/input.ts';
import { RowTexts, sendRows } from '../texts/send-rows.ts';
import { requireText } from '../texts/task.ts';
import type { TextRequest } from './handler.ts';

/** The tokens of a text, as a model's tokenizer gives them. */
type Tokens = Awaited<ReturnType<NonNullable<Generation['tokenize']>>>[number];

/** `POST /tokenize`: the tokens of each text, before truncation, with their places in it: characters are Unicode code points. */
export async function tokenize({ context, body, live }: TextRequest): Promise<void> {
  const settings = requireText(live);
  const texts = readTextList(body.inputs, 'inputs');
  const keepsSpecial = readFlag(body, 'add_special_tokens') ?? true;
  const prompt = readName(body, 'prompt_name');
  const before = promptOf(settings, prompt);
  chargeRows(context, texts.length);
  const written = new RowTexts(texts.length);
  for (let first = 0, last = 0; first < texts.length; first = last) {
    last = endOfChunk(texts, first);
    const chunk = texts.slice(first, last);
    const admission = { bulk: texts.length > CHUNK_ROWS, begun: first > 0 };
    const tokens = await live.tokenize!(chunk, context.cancellation, { ...admission, text: { prompt } });
    for (const [i, one] of tokens.entries()) {
      written.set(first + i, await writeTokens(before + chunk[i]!, one, keepsSpecial));
      if (context.cancellation.cancelled) return;
    }
  }
  await sendRows(context, written, ['[', ']'], []);
}

/** The most characters of a chunk of several texts: the tokens of a chunk are in memory, and read, at once. */
const CHUNK_CHARACTERS = 2 ** 16;

/** The index behind the last text of the chunk that begins with the text `first`. */
function endOfChunk(texts: readonly string[], first: number): number {
  let last = first + 1;
  let characters = texts[first]!.length;
  while (last < texts.length && last - first < CHUNK_ROWS) {
    characters += texts[last]!.length;
    if (characters > CHUNK_CHARACTERS) break;
    last++;
  }
  return last;
}

/** The text before each text. The tokenizer refuses a name that the model does not have. */
function promptOf({ prompts, defaultPrompt }: TextSettings, given: string | undefined): string {
  const name = given ?? defaultPrompt?.value;
  const known = prompts?.value ?? {};
  return name !== undefined && Object.hasOwn(known, name) ? known[name]! : '';
}

/** Tokens that are written before other requests get their turn: they take about a millisecond. */
const TURN_TOKENS = 2048;

async function writeTokens(
  text: string,
  { ids, tokens, offsets, special }: Tokens,
  keepsSpecial: boolean,
): Promise<string> {
  const characters = /[\ud800-\udfff]/.test(text) ? Array.from(text) : undefined;
  const slice = (start: number, stop: number): string =>
    characters === undefined ? text.slice(start, stop) : characters.slice(start, stop).join('');
  const written: string[] = [];
  for (const [i, id] of ids.entries()) {
    if (i % TURN_TOKENS === TURN_TOKENS - 1) await turn();
    const [start, stop] = offsets[i]!;
    if (!special[i]) {
      written.push(JSON.stringify({ id, text: slice(start, stop), special: false, start, stop }));
    } else if (keepsSpecial) {
      written.push(JSON.stringify({ id, text: tokens[i], special: true, start: null, stop: null }));
    }
  }
  return `[${written.join(',')}]`;
}
