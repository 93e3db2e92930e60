import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { inspectModel } from '../../onnx/inspect.ts';
import type { Source } from '../sources/source.ts';
import { type DownloadOptions, download, hashFile } from './download.ts';
import type { Checked, FetchOrder, ModelOrder } from './protocol.ts';

/**
 * Fetches files to a folder, and inspects the model's file if it is one of them.
 * @throws SourceError, or ServingError `MODEL_FAILED` that names the object and what is wrong with it
 */
export async function fetchModel(source: Source, order: FetchOrder, options: DownloadOptions): Promise<Checked> {
  const { folder, files, model } = order;
  for (const { path, entry, maxBytes } of files) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await download(source, entry, file, { ...options, maxBytes });
  }
  return model === undefined ? { external: [] } : checkModel({ ...model, path: join(folder, model.path) });
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
    return { external: inspectModel(path).external };
  } catch (error) {
    if (!(error instanceof ServingError)) throw error;
    throw new ServingError('MODEL_FAILED', error.message.replace(path, place), { cause: error });
  }
}
