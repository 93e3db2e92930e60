import type { Json } from './calls.ts';
import type { Host } from './hosts.ts';

/** A tensor of an infer request: JSON as a text, or binary data. */
export interface Sent {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[] | string;
  /** A JSON text. */
  readonly data?: string;
  readonly bytes?: Uint8Array;
  /** Where it is to say another size than the bytes have. */
  readonly size?: number | string;
}

/** An answer of an infer request, taken apart as its headers say. */
export interface Inferred {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON text. */
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes.
  readonly json: any;
  /** The binary data of each output that is binary, by name. */
  readonly bytes: ReadonlyMap<string, Buffer>;
}

export interface InferBody {
  readonly text: string;
  readonly blobs: readonly Uint8Array[];
}

/** The body of an infer request. @param more members beside `inputs`, as JSON. */
export function inferBody(inputs: readonly Sent[], more: object = {}): InferBody {
  const texts = inputs.map(({ name, datatype, shape, data, bytes, size }) => {
    const dims = typeof shape === 'string' ? shape : JSON.stringify(shape);
    const values = data === undefined ? '' : `,"data":${data}`;
    const binary = bytes === undefined ? '' : `,"parameters":{"binary_data_size":${size ?? bytes.length}}`;
    return `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":${dims}${values}${binary}}`;
  });
  const rest = Object.entries(more).map(([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return {
    text: `{"inputs":[${texts.join(',')}]${rest.join('')}}`,
    blobs: inputs.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes])),
  };
}

/** Sends an infer request: as JSON where nothing of it is binary. */
export function infer(
  host: Pick<Host, 'url'>,
  model: string,
  inputs: readonly Sent[],
  more: object = {},
  headers: Record<string, string> = {},
): Promise<Inferred> {
  const { text, blobs } = inferBody(inputs, more);
  const binary = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(Buffer.byteLength(text)),
  };
  const kind = blobs.length > 0 ? binary : { 'content-type': 'application/json' };
  return sendInfer(host, model, Buffer.concat([Buffer.from(text), ...blobs]), { ...kind, ...headers });
}

/** Sends any body to a model's infer route. @param model may have a version: `iris/versions/1`. */
export async function sendInfer(
  { url }: Pick<Host, 'url'>,
  model: string,
  body: Uint8Array | string,
  headers: Record<string, string>,
): Promise<Inferred> {
  const response = await fetch(`${url}/v2/models/${model}/infer`, { method: 'POST', body, headers });
  const whole = Buffer.from(await response.arrayBuffer());
  const length = response.headers.get('inference-header-content-length');
  const split = length === null ? whole.length : Number(length);
  const text = whole.toString('utf8', 0, split);
  const json = (response.headers.get('content-type') ?? '').startsWith('text/html') ? undefined : JSON.parse(text);
  const bytes = new Map<string, Buffer>();
  let at = split;
  for (const { name, parameters } of (json?.outputs ?? []) as Json[]) {
    const size = parameters?.binary_data_size as number | undefined;
    if (size === undefined) continue;
    bytes.set(name, whole.subarray(at, at + size));
    at += size;
  }
  if (at !== whole.length) throw new Error(`${whole.length - at} bytes behind the outputs: ${text.slice(0, 300)}`);
  return { status: response.status, headers: response.headers, text, json, bytes };
}

/** A float32 tensor as binary data. */
export const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

/** BYTES as binary data: each text's length before it. */
export function texts(...values: string[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );
}
