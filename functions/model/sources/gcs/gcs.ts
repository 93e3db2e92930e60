import type { Storage } from '@google-cloud/storage';
import { type Entry, type Scope, type Source, SourceError } from '../source.ts';
import { type Attempted, explainThrown } from './errors.ts';
import { type ObjectRequest, receive } from './read-object.ts';
import { createFlights, type Flight } from './request-guard.ts';

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

interface Page {
  readonly items: readonly Listed[];
  readonly next: { readonly pageToken?: string } | null;
  /** The answer itself. */
  readonly answer: { readonly prefixes?: readonly string[] } | undefined;
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

  /** One page of a listing, as the API gives it. */
  async function ask(query: object, signal: AbortSignal): Promise<Page> {
    const storage = await load();
    const attempted: Attempted = { action: 'list', place: root, bucket };
    // With `fields` the client gives objects as the API does.
    const [items = [], next, answer] = await flights.fly(root, signal, () =>
      storage
        .bucket(bucket)
        .getFiles({ autoPaginate: false, ...query })
        .catch((error) => {
          throw explainThrown(attempted, error);
        }),
    );
    return { items: items as unknown as Listed[], next: next as Page['next'], answer: answer as Page['answer'] };
  }

  /** All objects of a prefix, or those of its own level. */
  async function listAll(prefix: string, level: boolean, signal: AbortSignal): Promise<Listed[]> {
    const listed: Listed[] = [];
    let pageToken: string | undefined;
    do {
      const query = {
        fields: FIELDS,
        ...(prefix !== '' && { prefix }),
        ...(level && { delimiter: '/' }),
        ...(pageToken !== undefined && { pageToken }),
      };
      const { items, next } = await ask(query, signal);
      listed.push(...items);
      if (listed.length > MOST_OBJECTS)
        throw new SourceError(
          'refused',
          `${root}: more than ${MOST_OBJECTS} objects: put the models into a folder of their own, and name that`,
        );
      pageToken = next?.pageToken;
    } while (pageToken !== undefined);
    return listed;
  }

  async function list(signal: AbortSignal, { under, also = [] }: Scope = {}): Promise<readonly Entry[]> {
    if (under !== undefined && !isClean(under)) return [];
    const listed = await listAll(under === undefined ? folder : `${folder}${under}/`, isFile, signal);
    if (under === undefined) refuseMissing(listed);
    if (isFile) {
      const wanted = new Set(also.map((path) => path.slice(0, path.lastIndexOf('/') + 1)));
      wanted.delete('');
      for (const each of wanted) listed.push(...(await listAll(folder + each, true, signal)));
    }
    const entries = listed.flatMap((one) => toEntry(one, folder) ?? []);
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  function refuseMissing(listed: readonly Listed[]): void {
    const there = isFile ? listed.some(({ name }) => name === path) : path === '' || listed.length > 0;
    if (!there) throw new SourceError('refused', `${root}: no such ${isFile ? 'object' : 'folder'} in the bucket`);
  }

  async function folders(signal: AbortSignal): Promise<readonly string[]> {
    if (isFile) return [];
    const query = { fields: 'prefixes,nextPageToken', delimiter: '/', ...(folder !== '' && { prefix: folder }) };
    const { answer } = await ask(query, signal);
    return (answer?.prefixes ?? []).map((prefix) => prefix.slice(folder.length, -1));
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

  return { root, shared: false, list, folders, read, close: async () => flights.close() };
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
