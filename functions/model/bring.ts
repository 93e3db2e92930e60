import { mkdir } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { ServingError } from '../errors.ts';
import { inspectModel } from '../onnx/inspect.ts';
import { type DownloadOptions, download, hashFile } from './download.ts';
import type { BringOrder, Brought } from './fetch-protocol.ts';
import type { Entry, Source } from './source.ts';

/**
 * Brings a model to a folder: its file, its manifest and golden rows, and the weights that the file refers to.
 * @throws SourceError, or ServingError `MODEL_FAILED` that names the object and what is wrong with it.
 */
export async function bring(source: Source, order: BringOrder, options: DownloadOptions): Promise<Brought> {
  const { folder, along, beside, sha256 } = order;
  const [path, entry] = order.model;
  const file = join(folder, path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, each] of along) await download(source, each, join(folder, name), options);
  await download(source, entry, file, options);
  await checkSha256(file, sha256, nameOf(source, entry));
  const weights = externalOf(file, nameOf(source, entry));
  const found = new Map(beside);
  for (const location of weights) {
    const one = found.get(location);
    if (one === undefined) throw missing(source, entry, location);
    await mkdir(dirname(join(folder, location)), { recursive: true, mode: 0o700 });
    await download(source, one, join(folder, location), options);
  }
  return { weights };
}

/** @throws ServingError `MODEL_FAILED` where the file's SHA-256 is another. */
export async function checkSha256(file: string, expected: string | undefined, name: string): Promise<void> {
  if (expected === undefined) return;
  const got = await hashFile(file, 'sha256');
  if (got === expected) return;
  throw new ServingError('MODEL_FAILED', `${name}: its SHA-256 is ${got}, MODEL_SHA256 is ${expected}`);
}

function externalOf(file: string, name: string): string[] {
  try {
    return inspectModel(file).external.map((location) => safe(location, name));
  } catch (error) {
    if (!(error instanceof ServingError)) throw error;
    throw new ServingError('MODEL_FAILED', error.message.replace(file, name), { cause: error });
  }
}

/** A model must not read or write outside of its folder, whatever it says. */
function safe(location: string, name: string): string {
  const normal = posix.normalize(location);
  if (location !== '' && !location.includes('\0') && !normal.startsWith('/') && normal.split('/')[0] !== '..')
    return normal;
  const message = `${name}: its external data is at ${JSON.stringify(location.slice(0, 80))}, outside of its folder`;
  throw new ServingError('MODEL_FAILED', message);
}

function missing(source: Source, entry: Entry, location: string): ServingError {
  const message = `${nameOf(source, entry)} keeps weights in ${location}, which is not beside it: upload it too`;
  return new ServingError('MODEL_FAILED', message);
}

function nameOf({ root }: Source, { path }: Entry): string {
  return root.endsWith('.onnx') ? `${posix.dirname(root)}/${path}` : `${root}/${path}`;
}
