import { setImmediate as turn } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';

/** Bytes that are parsed before other requests get their turn: they take less than a millisecond. */
const SLICE_BYTES = 2 ** 18;
/** A form has a picture and perhaps a few fields, which are ignored. Headers of a part are its name, its file's name and its type. */
const LIMITS = { parts: 32, fieldSize: 65_536, headerPairs: 16, headerSize: 8192 };

/**
 * Reads the only file of a form. Linear in its bytes.
 * @param contentType `multipart/form-data` with its boundary
 * @returns the pieces of the file, of any field
 * @throws ServingError `INVALID_INPUT` for no file, several, too many parts, and for what is not a form
 */
export async function readFormFile(contentType: string, body: Buffer): Promise<Buffer[]> {
  const { Busboy } = await import('@fastify/busboy');
  const files: Buffer[][] = [];
  let failure: ServingError | undefined;
  const fail = (what: string): void => {
    failure ??= new ServingError('INVALID_INPUT', `the body: ${what}`);
  };
  const form = parserOf();
  const finished = new Promise<void>((resolve) => {
    const end = (): void => resolve();
    form
      .on('file', (_field, file) => {
        const pieces: Buffer[] = [];
        files.push(pieces);
        file.on('data', (piece: Buffer) => pieces.push(piece)).on('error', unreadable);
      })
      .on('partsLimit', () => fail(`a form of more than ${LIMITS.parts} parts`))
      .on('error', unreadable)
      .on('finish', end);
    function unreadable(error: unknown): void {
      fail(`not a form as multipart/form-data: ${(error as Error).message}`);
      end();
    }
  });

  function parserOf() {
    try {
      return new Busboy({
        headers: { 'content-type': contentType },
        limits: LIMITS,
        isPartAFile: (_field, type, name) => name !== undefined || type !== 'text/plain',
      });
    } catch (cause) {
      const message = 'content-type multipart/form-data: expected a boundary, as clients add it themselves';
      throw new ServingError('INVALID_INPUT', message, { cause });
    }
  }

  for (let at = 0; at < body.length && failure === undefined; at += SLICE_BYTES) {
    form.write(body.subarray(at, at + SLICE_BYTES));
    await turn();
  }
  if (failure === undefined) {
    form.end();
    await finished;
  }
  if (files.length > 1) {
    fail('a form of several files, and a prediction is of one: send {"instances": [base64, …]} to /batch_predict');
  } else if (files.length === 0) fail('a form without a file: send the picture as a file, of any field');
  if (failure !== undefined) throw failure;
  return files[0]!;
}
