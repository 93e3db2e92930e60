import type { IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { RequestKind } from './storage-faults.ts';
import { describeObject, etagOf, type ObjectStore, type StoredObject } from './storage-objects.ts';

/** What a path asks for. */
export interface Asked {
  readonly kind: RequestKind;
  readonly bucket: string;
  readonly name: string | undefined;
  readonly query: URLSearchParams;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Where in the object the body begins. */
  readonly start: number;
}

const PATH = /^(\/download)?(?:\/storage\/v1)?\/b\/([^/]+)\/o(?:\/([^/]+))?$/;

/** The JSON API's paths, with and without `/storage/v1`, which the client leaves out for STORAGE_EMULATOR_HOST. */
export function readPath(url: string): Asked | undefined {
  const [path = '', search] = url.split('?', 2);
  const parts = PATH.exec(path);
  if (parts === null) return undefined;
  const [, download, bucket, name] = parts;
  const query = new URLSearchParams(search);
  const media = download !== undefined || query.get('alt') === 'media';
  const kind = name === undefined ? 'list' : media ? 'media' : 'meta';
  return { kind, bucket: decodeURIComponent(bucket!), name: name && decodeURIComponent(name), query };
}

export function answer(store: ObjectStore, asked: Asked, headers: IncomingHttpHeaders, whole: boolean): Answer {
  const { kind, bucket, name, query } = asked;
  if (!store.hasBucket(bucket)) return fail(404, 'The specified bucket does not exist.');
  if (kind === 'list') {
    const { items, prefixes, nextPageToken } = store.list(bucket, query);
    return json(200, {
      kind: 'storage#objects',
      ...(nextPageToken !== undefined && { nextPageToken }),
      ...(prefixes.length > 0 && { prefixes }),
      ...(items.length > 0 && { items: items.map(describeObject) }),
    });
  }
  const object = store.get(bucket, name!);
  const generation = query.get('generation');
  if (object === undefined || (generation !== null && generation !== object.generation))
    return fail(404, `No such object: ${bucket}/${name}`);
  return kind === 'meta' ? json(200, describeObject(object)) : media(object, headers, whole);
}

function media(object: StoredObject, asked: IncomingHttpHeaders, whole: boolean): Answer {
  const { bytes, contentEncoding, generation } = object;
  const headers = {
    'content-type': 'application/octet-stream',
    'x-goog-generation': generation,
    'x-goog-metageneration': '1',
    'x-goog-hash': `crc32c=${object.crc32c},md5=${object.md5}`,
    'x-goog-stored-content-encoding': contentEncoding ?? 'identity',
    'x-goog-stored-content-length': String(bytes.length),
    etag: etagOf(object),
  };
  if (contentEncoding === 'gzip' && !/\bgzip\b/.test(asked['accept-encoding'] ?? '')) {
    // The service too gives all of it then, whatever range was asked for.
    return {
      status: 200,
      headers: { ...headers, warning: '214 UploadServer gunzipped' },
      body: gunzipSync(bytes),
      start: 0,
    };
  }
  const encoding = contentEncoding !== undefined && { 'content-encoding': contentEncoding };
  const range = whole ? undefined : readRange(asked.range, bytes.length);
  if (range === undefined) return { status: 200, headers: { ...headers, ...encoding }, body: bytes, start: 0 };
  const [start, end] = range;
  if (start >= end) return fail(416, 'Request range not satisfiable', { 'content-range': `bytes */${bytes.length}` });
  const place = { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` };
  return { status: 206, headers: { ...headers, ...encoding, ...place }, body: bytes.subarray(start, end), start };
}

function readRange(header: string | undefined, size: number): [number, number] | undefined {
  const parts = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (parts === null) return undefined;
  const [, from, to] = parts;
  if (from === '') return [Math.max(0, size - Number(to)), size];
  return [Number(from), to === '' ? size : Math.min(size, Number(to) + 1)];
}

/** An error in Google's words. */
export function fail(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const reasons: Record<number, string> = {
    401: 'required',
    403: 'forbidden',
    404: 'notFound',
    429: 'rateLimitExceeded',
  };
  const reason = reasons[status] ?? 'backendError';
  return json(status, { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } }, headers);
}

function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const type = { 'content-type': 'application/json; charset=UTF-8' };
  return { status, headers: { ...type, ...headers }, body: Buffer.from(JSON.stringify(value)), start: 0 };
}
