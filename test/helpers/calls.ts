import type { Host } from './hosts.ts';

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; throws where it is none. */
  readonly json: () => Json;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes.
export type Json = any;

/** Any request. */
export async function call({ url }: Pick<Host, 'url'>, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url + path, init);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) as Json };
}

/** POSTs JSON: a text as it is, anything else stringified. */
export function post(
  host: Pick<Host, 'url'>,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return call(host, path, { method: 'POST', body: text, headers: { 'content-type': 'application/json', ...headers } });
}

/** POSTs one row's features to /predict. */
export function predict(
  host: Pick<Host, 'url'>,
  features: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return post(host, '/predict', { features }, headers);
}

/** POSTs NDJSON to /batch_predict: a text as it is, or one line an element. */
export function batch(host: Pick<Host, 'url'>, rows: string | readonly unknown[], query = ''): Promise<Answer> {
  const body = typeof rows === 'string' ? rows : rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return post(host, `/batch_predict${query}`, body, { 'content-type': 'application/x-ndjson' });
}

/** The lines of an NDJSON answer. */
export function linesOf({ text }: Answer): Json[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Json);
}

/** The sum of a metric's samples that carry these labels, 0 where there are none. */
export async function metric(
  host: Pick<Host, 'url'>,
  name: string,
  labels: Record<string, string> = {},
): Promise<number> {
  let { status, text } = await call(host, '/metrics');
  // Servers of tests have short deadlines, and a busy machine may miss one.
  for (let tries = 1; status === 504 && tries < 10; tries++) ({ status, text } = await call(host, '/metrics'));
  if (status !== 200) throw new Error(`/metrics: ${status} ${text}`);
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
