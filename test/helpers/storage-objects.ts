import { createHash } from 'node:crypto';
import { crc32c } from '../../functions/model/sources/crc32c.ts';

export interface StoredObject {
  readonly bucket: string;
  readonly name: string;
  /** As they are stored: of a gzip object, the compressed ones. */
  readonly bytes: Buffer;
  readonly generation: string;
  readonly contentEncoding: string | undefined;
  readonly updated: string;
  /** Base64, as the API gives both. */
  readonly crc32c: string;
  readonly md5: string;
}

export interface PutOptions {
  readonly contentEncoding?: string;
  readonly generation?: string;
  readonly updated?: string;
}

/** One page, in the words of the JSON API. */
export interface Page {
  readonly items: readonly StoredObject[];
  readonly prefixes: readonly string[];
  readonly nextPageToken: string | undefined;
}

export interface ObjectStore {
  /** Replaces what has that name; makes the bucket. Gives the generation: each is higher than all before it. */
  put(bucket: string, name: string, bytes: Uint8Array, options?: PutOptions): string;
  remove(bucket: string, name: string): void;
  hasBucket(bucket: string): boolean;
  get(bucket: string, name: string): StoredObject | undefined;
  list(bucket: string, query: URLSearchParams): Page;
}

const LONGEST_PAGE = 1_000;

export function createObjectStore(): ObjectStore {
  const buckets = new Map<string, Map<string, StoredObject>>();
  let last = 1_700_000_000_000_000n;

  function put(bucket: string, name: string, bytes: Uint8Array, options: PutOptions = {}): string {
    const wanted = options.generation === undefined ? last + 1n : BigInt(options.generation);
    if (wanted > last) last = wanted;
    const generation = String(wanted);
    const stored = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { contentEncoding, updated = new Date().toISOString() } = options;
    const objects = buckets.get(bucket) ?? new Map<string, StoredObject>();
    buckets.set(bucket, objects);
    objects.set(name, createObject({ bucket, name, bytes: stored, generation, contentEncoding, updated }));
    return generation;
  }

  function list(bucket: string, query: URLSearchParams): Page {
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter') ?? '';
    const from = Buffer.from(query.get('pageToken') ?? '', 'base64url').toString();
    const size = Math.min(LONGEST_PAGE, Number(query.get('maxResults') ?? LONGEST_PAGE));
    const found = new Map<string, StoredObject | undefined>();
    for (const object of buckets.get(bucket)!.values()) {
      if (!object.name.startsWith(prefix)) continue;
      const cut = delimiter === '' ? -1 : object.name.indexOf(delimiter, prefix.length);
      if (cut === -1) found.set(object.name, object);
      else found.set(object.name.slice(0, cut + delimiter.length), undefined);
    }
    const after = [...found].filter(([name]) => from === '' || compare(name, from) > 0);
    const page = after.sort(([a], [b]) => compare(a, b)).slice(0, size);
    return {
      items: page.flatMap(([, object]) => object ?? []),
      prefixes: page.flatMap(([name, object]) => (object === undefined ? name : [])),
      nextPageToken: after.length > size ? Buffer.from(page.at(-1)![0]).toString('base64url') : undefined,
    };
  }

  return {
    put,
    list,
    remove: (bucket, name) => void buckets.get(bucket)?.delete(name),
    hasBucket: (bucket) => buckets.has(bucket),
    get: (bucket, name) => buckets.get(bucket)?.get(name),
  };
}

/** The service sorts names by their UTF-8. */
function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function createObject(fields: Omit<StoredObject, 'crc32c' | 'md5'>): StoredObject {
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32c(fields.bytes));
  const md5 = createHash('md5').update(fields.bytes).digest('base64');
  return { ...fields, crc32c: crc.toString('base64'), md5 };
}

/** An object's metadata, in the words of the JSON API. */
export function describeObject(object: StoredObject): Record<string, string> {
  const { bucket, name, generation, updated, contentEncoding, md5, crc32c } = object;
  return {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    bucket,
    name,
    generation,
    metageneration: '1',
    contentType: 'application/octet-stream',
    storageClass: 'STANDARD',
    size: String(object.bytes.length),
    md5Hash: md5,
    crc32c,
    etag: etagOf(object),
    timeCreated: updated,
    updated,
    ...(contentEncoding !== undefined && { contentEncoding }),
  };
}

export function etagOf({ generation }: StoredObject): string {
  return Buffer.from(generation).toString('base64');
}
