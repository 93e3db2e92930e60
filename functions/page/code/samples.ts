/** The languages of the code samples. */
export type Language = 'curl' | 'Python' | 'TypeScript';

/** What a sample of any request depends on. */
export interface SampleOptions {
  readonly language: Language;
  readonly url: string;
  /** Whether it needs a token: that in the variable `TOKEN`. */
  readonly hasToken?: boolean;
}

/** Most characters of a body in a sample; a longer one is read from a file. */
const LONGEST = 4000;

/**
 * The request as code: for curl, and for the clients of this server.
 * @param url of `/predict` or `/batch_predict`, or of that of a model and version
 * @param body JSON on one line, with the member `features`; of `/batch_predict` with the member `instances`
 * @param hasToken whether it needs a token: that in the variable `TOKEN`
 */
export function sampleOf(language: Language, url: string, body: string, hasToken = false): string {
  const isLong = body.length > LONGEST;
  if (language === 'curl') return curl(url, isLong ? '@row.json' : body, hasToken);
  const sample = language === 'Python' ? python : typeScript;
  return sample(addressOf(url), isLong ? undefined : body, hasToken);
}

/** The token, in TypeScript. */
export const SCRIPT_TOKEN = 'process.env.TOKEN';

/** Quotes a text for a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function curl(url: string, data: string, hasToken: boolean): string {
  return [
    `curl ${quoted(url)}`,
    "-H 'Content-Type: application/json'",
    ...(hasToken ? ['-H "Authorization: Bearer $TOKEN"'] : []),
    `--data-binary ${quoted(data)}`,
  ].join(' \\\n  ');
}

/** The server, and what the address names below it. */
interface Address {
  readonly server: string;
  readonly model?: string;
  readonly version?: string;
  /** Whether the body has several rows. */
  readonly isBatch: boolean;
}

function addressOf(url: string): Address {
  const [, server, model, version, batch] =
    /^(.*?)(?:\/models\/([^/]+)(?:\/versions\/([^/]+))?)?\/(batch_)?predict$/.exec(url)!;
  return {
    server: server!,
    isBatch: batch !== undefined,
    ...(model !== undefined && { model: decodeURIComponent(model) }),
    ...(version !== undefined && { version: decodeURIComponent(version) }),
  };
}

const textOf = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : JSON.stringify(text);

/** `name` and value of each value that is known, joined by `sign`. */
function named(values: Readonly<Record<string, string | undefined>>, sign: string): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name + sign + value]));
}

function python({ server, model, version, isBatch }: Address, body: string | undefined, hasToken: boolean): string {
  const token = hasToken ? 'os.environ["TOKEN"]' : undefined;
  const options = named({ model: textOf(model), version: textOf(version), token }, '=');
  const imports = [...(body === undefined ? ['import json'] : []), ...(hasToken ? ['import os'] : [])];
  return [
    '# pip install onnx-cloud-run-client',
    ...(imports.length === 0 ? [] : [...imports, '']),
    'from onnx_cloud_run import Client',
    '',
    `${isBatch ? 'body' : 'row'} = ${body === undefined ? 'json.load(open("row.json"))' : pythonOf(body)}`,
    `with Client(${[textOf(server), ...options].join(', ')}) as client:`,
    ...(isBatch
      ? ['    for row in client.batch_predict(body["instances"]):', '        print(row)']
      : ['    print(client.predict(row["features"]))']),
  ].join('\n');
}

/** JSON as a Python literal: they differ in one escape of strings, and in three words. */
function pythonOf(json: string): string {
  const words: Record<string, string> = { true: 'True', false: 'False', null: 'None' };
  return json.replace(/"(?:[^"\\]|\\.)*"|true|false|null/g, (token) => words[token] ?? unslash(token));
}

const unslash = (text: string): string => text.replace(/\\./g, (pair) => (pair === '\\/' ? '/' : pair));

function typeScript({ server, model, version, isBatch }: Address, body: string | undefined, hasToken: boolean): string {
  const token = hasToken ? SCRIPT_TOKEN : undefined;
  const options = named({ url: textOf(server), model: textOf(model), version: textOf(version), token }, ': ');
  const row = body === undefined ? "JSON.parse(await readFile('row.json', 'utf8'))" : scriptOf(body);
  return [
    '// npm install onnx-cloud-run-client',
    ...(body === undefined ? ["import { readFile } from 'node:fs/promises';"] : []),
    "import { createClient } from 'onnx-cloud-run-client';",
    '',
    `const ${isBatch ? 'body' : 'row'} = ${row};`,
    `const client = createClient({ ${options.join(', ')} });`,
    isBatch
      ? 'for await (const row of client.batchPredict(body.instances)) console.log(row);'
      : 'console.log(await client.predict(row.features));',
  ].join('\n');
}

/** JSON as an object literal: in that, long integers need an `n` to keep their digits, and `__proto__` is a key only in brackets. */
function scriptOf(body: string): string {
  return body.replace(/("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*/g, (token, text?: string, colon?: string) => {
    if (text === undefined) return /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `${token}n` : token;
    return colon !== undefined && JSON.parse(text) === '__proto__' ? `[${text}]${colon}` : token;
  });
}
