import type { IncomingMessage } from 'node:http';
import { requireMediaType } from '../../http/body/read-body.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { readFormFile } from './form-file.ts';

export const JSON_TYPE = 'application/json';
const FORM = 'multipart/form-data';
/** The media types of a body of `/predict`: for a model of pictures also that of a picture, or of a form with one. */
export const BODY_TYPES = [
  JSON_TYPE,
  ...['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif'],
  FORM,
] as const;

/** Whether a request says that its body is JSON in the usual letters, or says nothing: every model takes it. */
export function isPlainJson({ headers: { 'content-type': type } }: IncomingMessage): boolean {
  return type === undefined || type === JSON_TYPE;
}

/** The media types of a body of `/predict` that the model takes; JSON is the first. */
export const bodyTypesOf = ({ signature: { inputs } }: Pick<Generation, 'signature'>): readonly string[] =>
  inputs.length === 1 && inputs[0]!.bytes === true ? BODY_TYPES : [JSON_TYPE];

/**
 * The media type of a request, which the model takes.
 * @throws ServingError `UNSUPPORTED_MEDIA_TYPE` that lists what it takes
 */
export const requireTypeFor = (live: Pick<Generation, 'signature'>, req: IncomingMessage): string =>
  requireMediaType(req, bodyTypesOf(live));

/**
 * Reads a picture that is the body, or the file of a form.
 * @param type of `requireTypeFor`
 * @returns one row, whose format is checked when the picture is decoded: see `recognise`
 * @throws ServingError `INVALID_INPUT` as `readFormFile` does
 */
export async function readPicture(type: string, req: IncomingMessage, body: Buffer): Promise<RowFeeds> {
  const pieces = type === FORM ? await readFormFile(req.headers['content-type']!, body) : [body];
  const data = pieces.map((piece) => piece.toString('latin1')).join('');
  return { tensors: [{ dtype: 'string', dims: [1], data: [data] }], rows: 1, isRow: true };
}
