import { urlOf } from '../dom.ts';
import { send } from '../failure.ts';
import { parseJson } from '../json.ts';
import { type Prediction, pathOf, type Target } from '../model.ts';
import { readLines } from './lines.ts';

/** What a form sends: a row, several rows that are shown together, or a picture. Rows are the JSON of their `features`. */
export type Sent =
  | { readonly kind: 'row'; readonly features: string }
  | { readonly kind: 'rows'; readonly rows: readonly string[] }
  | { readonly kind: 'picture'; readonly file: File };

/** What the server answered. */
export interface Received {
  /** A prediction for each row, in their order. */
  readonly predictions: readonly Prediction[];
  /** The text of the response. */
  readonly text: string;
}

/** Has the model predict what a form sends. @throws Failure, also if one of several rows failed */
export async function predictSent(target: Target, sent: Sent): Promise<Received> {
  if (sent.kind === 'rows') return predictRows(target, sent.rows);
  const url = urlOf(pathOf(target, 'predict'));
  const response =
    sent.kind === 'row'
      ? await send(url, 'application/json', `{"features":${sent.features}}`)
      : await send(url, sent.file.type, sent.file);
  const text = await response.text();
  return { predictions: [parseJson(text) as Prediction], text };
}

async function predictRows(target: Target, rows: readonly string[]): Promise<Received> {
  const url = urlOf(pathOf(target, 'batch_predict'));
  const body = `{"instances":[${rows.join(',')}]}`;
  const text = await (await send(url, 'application/json', body)).text();
  return { predictions: readLines(text, rows.length), text };
}
