import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { inspectModel } from '../../onnx/inspect.ts';
import { mapWeights } from '../../onnx/map-weights.ts';
import { openBytes } from '../../onnx/wire.ts';
import { SIGNATURE_FILE } from '../folder/layout.ts';
import { type SignedFiles, verifyBundle } from '../signature/bundle.ts';
import { readPublicKeys } from '../signature/public-keys.ts';
import type { Source } from '../sources/source.ts';
import { type DownloadOptions, download, hashFile } from './download.ts';
import type { Checked, FetchOrder, FileOrder, ModelOrder, SignatureOrder } from './protocol.ts';

/** How many small files are fetched at once, beside a large one: the fetch of one is little more than the wait for its response. */
const PARALLEL_FILES = 8;
/** A larger file is fetched in several ranges at once, and so alone. */
const SMALL_BYTES = 16 * 2 ** 20;
/** The most bytes of a signature: about 200 for each file of the model. */
const SIGNATURE_BYTES = 4 * 2 ** 20;

/**
 * Fetches files to a folder, and inspects the model's file if it is one of them.
 * @throws SourceError, or ServingError `MODEL_FAILED` that names the object and what is wrong with it
 */
export async function fetchModel(source: Source, order: FetchOrder, options: DownloadOptions): Promise<Checked> {
  const { folder, files, model } = order;
  await fetchFiles(source, folder, files, options);
  return model === undefined ? { external: [] } : checkModel({ ...model, path: join(folder, model.path) });
}

/** Fetches large files one after the other, and small ones meanwhile. Settles when no read is under way: a failure stops all. */
async function fetchFiles(
  source: Source,
  folder: string,
  files: readonly FileOrder[],
  options: DownloadOptions,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const isSmall = ({ entry }: FileOrder): boolean => entry.bytes <= SMALL_BYTES;
  const small = files.filter(isSmall);

  async function fetchInTurn(left: FileOrder[]): Promise<void> {
    try {
      for (let one = left.shift(); one !== undefined && !signal.aborted; one = left.shift()) {
        await fetchFile(source, folder, one, { ...options, signal });
      }
    } catch (error) {
      stop.abort(error);
    }
  }

  const large = fetchInTurn(files.filter((one) => !isSmall(one)));
  await Promise.all([large, ...Array.from({ length: PARALLEL_FILES }, () => fetchInTurn(small))]);
  signal.throwIfAborted();
}

/**
 * Fetches the signature of a model's files, and verifies it.
 * @throws SourceError, or ServingError `MODEL_FAILED`
 */
export async function fetchSignature(
  source: Source,
  { folder, entry, place, publicKeys }: SignatureOrder,
  options: DownloadOptions,
): Promise<SignedFiles> {
  if (entry.bytes > SIGNATURE_BYTES) {
    throw new ServingError('MODEL_FAILED', `${place} has ${entry.bytes} bytes, and may have ${SIGNATURE_BYTES}`);
  }
  const file = await fetchFile(source, folder, { path: SIGNATURE_FILE, entry, maxBytes: SIGNATURE_BYTES }, options);
  return verifyBundle(await readFile(file, 'utf8'), readPublicKeys(publicKeys), place);
}

/** @returns the path of the file */
async function fetchFile(
  source: Source,
  folder: string,
  { path, entry, maxBytes, sha256 }: FileOrder,
  options: DownloadOptions,
): Promise<string> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await download(source, entry, file, { ...options, maxBytes });
  const got = sha256 === undefined ? undefined : await hashFile(file, 'sha256');
  if (got === sha256) return file;
  const place = `${source.root}: ${entry.path}`;
  throw new ServingError('MODEL_FAILED', `${place}: its SHA-256 is ${got}, and ${sha256} is signed`);
}

function mappableBytesOf(path: string): number {
  const bytes = openBytes(path);
  try {
    return mapWeights(bytes, basename(path)).bytes;
  } finally {
    bytes.close();
  }
}

/**
 * Inspects a local `.onnx` file. Reads synchronously: only for a process that serves no requests.
 * @throws ServingError `MODEL_FAILED` if its SHA-256 differs, or if it is not an ONNX model
 */
export async function checkModel({ path, place, sha256 }: ModelOrder): Promise<Checked> {
  if (sha256 !== undefined) {
    const got = await hashFile(path, 'sha256');
    const message = `${place}: its SHA-256 is ${got}, MODEL_SHA256 is ${sha256}`;
    if (got !== sha256) throw new ServingError('MODEL_FAILED', message);
  }
  try {
    const { external } = inspectModel(path);
    const mappableBytes = mappableBytesOf(path);
    return { external, ...(mappableBytes > 0 && { mappableBytes }) };
  } catch (error) {
    if (!(error instanceof ServingError)) throw error;
    throw new ServingError('MODEL_FAILED', error.message.replace(path, place), { cause: error });
  }
}
