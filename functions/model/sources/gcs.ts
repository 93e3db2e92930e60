import type { Storage } from '@google-cloud/storage';
import { type Entry, type Source, SourceError } from '../source.ts';
import { type Attempted, explainThrown } from './gcs-errors.ts';
import { createFlights, type Flight } from './gcs-flight.ts';
import { type ObjectRequest, receive } from './gcs-receive.ts';

export interface GcsOptions {
  /** Longest time without a byte; 10 000 where it is not given. */
  readonly stallMs?: number;
  /** Of the service, for another one than Google's; it is asked without credentials. */
  readonly endpoint?: string;
}

/** An object in the words of the JSON API. */
interface Listed {
  readonly name: string;
  readonly size: string;
  readonly generation: string;
  readonly updated: string;
  readonly crc32c?: string;
  readonly md5Hash?: string;
  readonly contentEncoding?: string;
}

const FIELDS = 'items(name,size,generation,crc32c,md5Hash,contentEncoding,updated),nextPageToken';
const MOST_OBJECTS = 20_000;
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;

/**
 * Models in a bucket of Cloud Storage: `gs://bucket`, `gs://bucket/folder`, or one model with what lies beside it,
 * `gs://bucket/folder/model.onnx`.
 * @throws SourceError `refused` where the URI is none of these.
 */
export function createGcsSource(uri: string, options: GcsOptions = {}): Source {
  const { stallMs = 10_000, endpoint } = options;
  const { bucket, path } = parseUri(uri);
  const root = path === '' ? `gs://${bucket}` : `gs://${bucket}/${path}`;
  const isFile = path.endsWith('.onnx');
  const folder = isFile ? path.slice(0, path.lastIndexOf('/') + 1) : path === '' ? '' : `${path}/`;
  let loading: Promise<Storage> | undefined;
  let host = '';
  const flights = createFlights(stallMs, () => host);

  function load(): Promise<Storage> {
    loading ??= import('@google-cloud/storage').then(({ Storage }) => {
      const storage = new Storage({
        retryOptions: { autoRetry: false },
        ...(endpoint !== undefined && { apiEndpoint: endpoint }),
      });
      host = new URL(storage.apiEndpoint).host;
      return storage;
    });
    return loading;
  }

  async function list(signal: AbortSignal): Promise<readonly Entry[]> {
    const storage = await load();
    const attempted: Attempted = { action: 'list', place: root, bucket };
    const listed: Listed[] = [];
    let pageToken: string | undefined;
    do {
      const query = {
        autoPaginate: false,
        fields: FIELDS,
        ...(folder !== '' && { prefix: folder }),
        ...(isFile && { delimiter: '/' }),
        ...(pageToken !== undefined && { pageToken }),
      };
      const [items, next] = await flights.fly(root, signal, () =>
        storage
          .bucket(bucket)
          .getFiles(query)
          .catch((error) => {
            throw explainThrown(attempted, error);
          }),
      );
      // With `fields` the client gives objects as the API does.
      listed.push(...(items as unknown as Listed[]));
      if (listed.length > MOST_OBJECTS)
        throw new SourceError(
          'refused',
          `${root}: more than ${MOST_OBJECTS} objects: put the models into a folder of their own, and name that`,
        );
      pageToken = (next as { pageToken?: string } | null)?.pageToken;
    } while (pageToken !== undefined);
    const entries = listed.flatMap((one) => toEntry(one, folder) ?? []);
    const there = isFile ? entries.some((entry) => folder + entry.path === path) : path === '' || listed.length > 0;
    if (!there) throw new SourceError('refused', `${root}: no such ${isFile ? 'object' : 'folder'} in the bucket`);
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async function read(
    entry: Entry,
    start: number,
    end: number,
    take: (chunk: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (start >= end) return;
    const storage = await load();
    const place = `gs://${bucket}/${folder}${entry.path}`;
    const wanted: ObjectRequest = { entry, start, end, attempted: { action: 'read', place, bucket } };
    const file = storage.bucket(bucket).file(folder + entry.path, { generation: entry.stamp });
    // Not `createReadStream`: on a failure it destroys the agent, which cuts all other downloads of the process.
    await flights.fly(place, signal, (flight: Flight) =>
      receive((asked) => file.requestStream(asked), wanted, take, flight),
    );
  }

  return { root, shared: false, list, read, close: async () => flights.close() };
}

/** @throws SourceError */
function parseUri(uri: string): { bucket: string; path: string } {
  const [, bucket = '', rest = ''] = /^gs:\/\/([^/]*)(?:\/(.*))?$/s.exec(uri) ?? [];
  const path = rest.replace(/\/$/, '');
  if (BUCKET.test(bucket) && (rest === '' || isClean(path))) return { bucket, path };
  const form = 'gs://bucket, gs://bucket/folder or gs://bucket/folder/model.onnx';
  const rule = 'a bucket is named with a-z, 0-9, "-", "_" and ".", and no part of the path is empty, "." or ".."';
  throw new SourceError('refused', `${JSON.stringify(uri)} is not of the form ${form}: ${rule}`);
}

/** Whether a path can be one on a disk, and stays below its folder there. */
function isClean(path: string): boolean {
  return !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** Nothing for a folder's placeholder, `folder/`, and for what could not be put below a folder on a disk. */
function toEntry(listed: Listed, folder: string): Entry | undefined {
  const path = listed.name.slice(folder.length);
  if (!isClean(path)) return undefined;
  const { size, generation, crc32c, md5Hash, contentEncoding, updated } = listed;
  return {
    path,
    bytes: Number(size),
    stamp: generation,
    crc32c: crc32c === undefined ? undefined : Buffer.from(crc32c, 'base64').readUInt32BE(),
    md5: md5Hash === undefined ? undefined : Buffer.from(md5Hash, 'base64').toString('hex'),
    gzip: contentEncoding === 'gzip',
    modifiedAt: Date.parse(updated),
  };
}
