import { isArray } from '../../tensor/json/reader.ts';
import { readFlag, readText, readTexts } from '../texts/fields.ts';
import { requireText } from '../texts/task.ts';
import type { TextRequest } from './handler.ts';

/** `POST /tokenize`: the tokens of each text, with their places in it. */
export async function tokenize({ context, body, live }: TextRequest): Promise<void> {
  requireText(live);
  const texts = isArray(body.inputs) ? readTexts(body.inputs, 'inputs') : [readText(body.inputs, 'inputs')];
  const special = readFlag(body, 'add_special_tokens') ?? true;
  void [context, texts, special];
}
