import { type Entry, type Scope, type Source, SourceError } from '../source.ts';
import type { Attempted } from './errors.ts';
import { createJsonApi, type Service } from './json-api.ts';
import { readObject } from './read-object.ts';

interface GcsOptions {
  /** The longest time without a byte. Default: 10,000. */
  readonly stallMs?: number;
  /** The URL of another service than Google's; requests to it have no credentials. */
  readonly endpoint?: string;
}

/** An object of the JSON API: https://cloud.google.com/storage/docs/json_api/v1/objects */
interface Listed {
  readonly name: string;
  readonly size: string;
  readonly generation: string;
  readonly updated: string;
  readonly crc32c?: string;
  readonly md5Hash?: string;
  readonly contentEncoding?: string;
}

/** A page of a listing: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
interface Page {
  readonly items?: readonly Listed[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

const FIELDS = 'items(name,size,generation,crc32c,md5Hash,contentEncoding,updated),nextPageToken';
const MOST_OBJECTS = 20_000;
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;

/**
 * Creates the source of a bucket of Cloud Storage: `gs://bucket`, `gs://bucket/folder`, or one model with the other objects of its
 * folder, `gs://bucket/folder/model.onnx`.
 * @throws SourceError `refused` if the URI has none of these forms
 */
export function createGcsSource(uri: string, options: GcsOptions = {}): Source {
  const { stallMs = 10_000, endpoint } = options;
  const { bucket, path } = parseUri(uri);
  const root = path === '' ? `gs://${bucket}` : `gs://${bucket}/${path}`;
  const isFile = path.endsWith('.onnx');
  const folder = isFile ? path.slice(0, path.lastIndexOf('/') + 1) : path === '' ? '' : `${path}/`;
  const objects = `/b/${encodeURIComponent(bucket)}/o`;
  let loading: Promise<Service> | undefined;
  const api = createJsonApi(() => {
    loading ??= loadService(endpoint);
    return loading;
  }, stallMs);

  async function requestPage(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Page> {
    const attempted: Attempted = { action: 'list', place: root, bucket };
    const chunks: Uint8Array[] = [];
    await api.get({ attempted, path: objects, query }, signal, () => (chunk) => chunks.push(Buffer.from(chunk)) > 0);
    try {
      return JSON.parse(Buffer.concat(chunks).toString());
    } catch (cause) {
      throw new SourceError('transient', `${root}: the listing is not JSON: ${(cause as Error).message}`, { cause });
    }
  }

  /** All objects of a prefix. @param level only those of its own level, without those of deeper folders */
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
      const { items = [], nextPageToken } = await requestPage(query, signal);
      listed.push(...items);
      if (listed.length > MOST_OBJECTS)
        throw new SourceError(
          'refused',
          `${root}: more than ${MOST_OBJECTS} objects: put the models into a folder of their own, and name that`,
        );
      pageToken = nextPageToken;
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
    const { prefixes = [] } = await requestPage(query, signal);
    return prefixes.map((prefix) => prefix.slice(folder.length, -1));
  }

  async function read(
    entry: Entry,
    start: number,
    end: number,
    onChunk: (chunk: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (start >= end) return;
    const name = folder + entry.path;
    const attempted: Attempted = { action: 'read', place: `gs://${bucket}/${name}`, bucket };
    const path = `${objects}/${encodeURIComponent(name)}`;
    await readObject(api, { path, entry, start, end, attempted }, onChunk, signal);
  }

  return { root, shared: false, list, folders, read, close: async () => api.close() };
}

/**
 * Loads Google's client, which has the endpoint and finds the credentials. Another endpoint than Google's gets no credentials.
 * @throws SourceError `refused` if `STORAGE_EMULATOR_HOST` is not a URL
 */
async function loadService(endpoint: string | undefined): Promise<Service> {
  const { Storage } = await import('@google-cloud/storage');
  const storage = new Storage(endpoint === undefined ? {} : { apiEndpoint: endpoint });
  const { baseUrl, customEndpoint, authClient } = storage;
  if (!/^https?:\/\//.test(baseUrl))
    throw new SourceError(
      'refused',
      `STORAGE_EMULATOR_HOST is ${baseUrl}: expected a URL such as http://127.0.0.1:9000`,
    );
  return { baseUrl, authorize: async (url) => (customEndpoint ? new Headers() : authClient.getRequestHeaders(url)) };
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

/** Whether a path is possible on a disk, and does not lead out of its folder. */
function isClean(path: string): boolean {
  return !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** The entry of an object; undefined for a folder's placeholder, `folder/`, and for a path that is not possible on a disk. */
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
