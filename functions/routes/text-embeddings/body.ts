import { ServingError } from '../../errors.ts';
import type { TextOptions } from '../../preprocess/preprocessor.ts';
import { describe } from '../../tensor/fill.ts';
import { isArray, type JsonObject, type JsonValue } from '../../tensor/json/reader.ts';
import type { TextSettings } from '../../text/settings.ts';
import { invalid, readFlag, readList, readName, readText } from '../texts/fields.ts';

/** The texts of `/predict`, and whether they are a batch, whose response has an array for each. */
export interface Sequences {
  /** The texts; of pairs, the first texts and the second ones. */
  readonly columns: readonly (readonly string[])[];
  readonly isBatch: boolean;
}

/**
 * The `inputs` of `/predict`: a text, a pair `[text, text]`, or a batch of texts and pairs, each in an array of its own.
 * @throws ServingError `INVALID_INPUT`; also for a batch of texts and pairs, as a model takes one or the other
 */
export function readSequences({ inputs }: JsonObject): Sequences {
  if (!isArray(inputs)) return { columns: [[readText(inputs, 'inputs')]], isBatch: false };
  const list = readList(inputs, 'inputs', 'a text, a pair of texts or a batch');
  if (!isArray(list[0])) return { columns: readSequence(list, 'inputs').map((text) => [text]), isBatch: false };
  const sequences = Array.from(list, (one, i) => readSequence(one, `inputs[${i}]`));
  const width = sequences[0]!.length;
  const other = sequences.findIndex(({ length }) => length !== width);
  if (other !== -1) {
    const [first, found] = width === 1 ? ['one text', 'a pair'] : ['a pair', 'one text'];
    throw invalid(`inputs[${other}]`, `expected ${first}, as inputs[0] is, got ${found}`);
  }
  return { columns: Array.from({ length: width }, (_, i) => sequences.map((texts) => texts[i]!)), isBatch: true };
}

function readSequence(value: JsonValue, path: string): string[] {
  if (!isArray(value) || value.length < 1 || value.length > 2) {
    throw invalid(path, `expected an array of one text or two, got ${describe(value)}`);
  }
  return Array.from(value, (text, i) => readText(text, `${path}[${i}]`));
}

/**
 * What a body says about its texts. The names are those of text-embeddings-inference; other members are ignored, as there.
 * @param path of the object, with a dot; '' for the body
 * @throws ServingError `INVALID_INPUT`; `UNSUPPORTED` for the side of the text that this model's tokenizer does not cut
 */
export function readTextOptions(from: JsonObject, settings: TextSettings, path = ''): TextOptions {
  const truncate = readFlag(from, 'truncate', `${path}truncate`);
  requireSide(readName(from, 'truncation_direction', `${path}truncation_direction`), settings, path);
  const prompt = readName(from, 'prompt_name', `${path}prompt_name`);
  return { truncate, prompt };
}

function requireSide(given: string | undefined, { truncationSide }: TextSettings, path: string): void {
  if (given === undefined) return;
  const side = given.toLowerCase();
  const place = `${path}truncation_direction`;
  if (side !== 'left' && side !== 'right') throw invalid(place, `expected "Left" or "Right", got ${describe(given)}`);
  if (side === truncationSide.value) return;
  const message = `${place}: texts of this model are cut on the ${truncationSide.value}: leave it out`;
  throw new ServingError('UNSUPPORTED', message, { path: place });
}
