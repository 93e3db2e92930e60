/**
 * `node scripts/smoke-test.ts URL`, in the image `dist/smoke-test.js`: waits until a server is ready, sends the rows of golden.json and
 * compares the responses. Of a folder of models it takes the golden.json of the model that the server serves; if there is none, it sends
 * the server's own example. Prints a line for each check; exit code 0 if all passed, else 1.
 */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GOLDEN_FILE, MANIFEST_FILE } from '../functions/model/folder/layout.ts';
import { type Golden, parseGolden, parseManifest } from '../functions/model/folder/manifest.ts';
import { findDifference } from '../functions/tensor/compare.ts';
import { decodeNested } from '../functions/tensor/decode.ts';
import { type JsonObject, type JsonValue, readJson } from '../functions/tensor/json/reader.ts';
import type { DType } from '../functions/tensor/tensor.ts';
import { readCommandLine, refuseUsage } from './command-line.ts';

const USAGE = `npm run smoke-test: waits until a server is ready, sends the rows of golden.json and compares the responses.

Usage: npm run smoke-test -- [OPTIONS] URL

  --golden PATH    the rows; default: models/iris/golden.json. Of a folder of models: those of the model that the server serves, or
                   without any the example of the server
  --audience URL   requests an identity token for URL from Google's metadata server; else IDENTITY_TOKEN is the token, if set
  --wait SECONDS   the longest wait until the server is ready; default: 120

Examples:
  npm run smoke-test -- http://localhost:8080
  IDENTITY_TOKEN=$(gcloud auth print-identity-token) npm run smoke-test -- https://ml-model-abc-uc.a.run.app
  docker run --rm --network host ml-model dist/smoke-test.js http://localhost:8080 --golden /models

Exit code: 1 if a check failed.`;
const POLL_MS = 1_000;
const ANSWER_MS = 60_000;
const METADATA = '/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=';

type Row = Golden['rows'][number];

/** The outputs of a response of `/predict`, by name. @throws Error with the status and the text of an error response. */
async function predict(url: string, headers: Record<string, string>, features: JsonValue): Promise<JsonObject> {
  const response = await fetch(`${url}/predict`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: `{"features":${writeJson(features)}}`,
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  return (await readBody(response)).outputs as JsonObject;
}

/** The features of the row that the server's OpenAPI document shows. */
async function exampleOf(url: string, headers: Record<string, string>): Promise<JsonValue> {
  const response = await fetch(`${url}/openapi.json`, { headers, signal: AbortSignal.timeout(ANSWER_MS) });
  const model = (await readBody(response))['x-model'] as { example?: { features: JsonValue } } | undefined;
  if (model?.example !== undefined) return model.example.features;
  throw new Error('/openapi.json shows no example, because a row is too large: add golden.json to the model');
}

async function readBody(response: Response): Promise<JsonObject> {
  const text = await response.text();
  if (!response.ok) throw new Error(`returned ${response.status}: ${text.slice(0, 300)}`);
  return readJson(Buffer.from(text)) as JsonObject;
}

/**
 * The golden.json below a folder of models whose model has the name and the version in the response of `/ready`; undefined if there is
 * none. Names and versions are those of the server: of the manifest or the folder.
 */
function findGolden(folder: string, ready: string): string | undefined {
  const { model } = JSON.parse(ready) as { model?: { name: string; version: string } };
  return globSync(`**/${GOLDEN_FILE}`, { cwd: folder })
    .map((file) => join(folder, file))
    .find((file) => {
      const manifestFile = join(dirname(file), MANIFEST_FILE);
      const manifest = existsSync(manifestFile) ? parseManifest(readFileSync(manifestFile, 'utf8'), manifestFile) : {};
      const parts = relative(folder, dirname(file)).split(sep);
      // The server leaves out leading zeros.
      const number = /^\d+$/.test(parts.at(-1)!) ? BigInt(parts.pop()!).toString() : undefined;
      const name = manifest.name ?? (parts.join('/') || basename(resolve(folder)));
      return name === model?.name && (number ?? manifest.version ?? '1') === model.version;
    });
}

/** @throws Error that names the first output that differs from golden.json. */
function compare(row: Row, outputs: JsonObject, tolerance: number): void {
  for (const [name, expected] of Object.entries(row.outputs)) {
    const got = outputs[name];
    if (got === undefined)
      throw new Error(`outputs.${name}: expected in the response, which has ${Object.keys(outputs)}`);
    // The response has no dtypes: numbers are compared as floats; the server itself has compared integers exactly.
    const dtype = dtypeOf(expected);
    const shape = shapeOf(expected);
    const difference = findDifference(
      decodeNested(expected, dtype, shape, `golden.json: outputs.${name}`),
      decodeNested(got, dtype, shape, `outputs.${name}`),
      tolerance,
    );
    if (difference === undefined) continue;
    const { at, by } = difference;
    const off = Number.isNaN(by) ? '' : `, off by ${by.toPrecision(3)}, tolerance ${tolerance}`;
    throw new Error(
      `outputs.${name}: element ${at} came out as ${difference.got}, expected ${difference.expected}${off}`,
    );
  }
}

function dtypeOf(value: JsonValue): DType {
  if (Array.isArray(value) && value[0] !== undefined) return dtypeOf(value[0]);
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' && !/^(NaN|-?Infinity)$/.test(value) ? 'string' : 'float64';
}

function shapeOf(value: JsonValue): number[] {
  if (!Array.isArray(value) && !(value instanceof Float64Array)) return [];
  return [value.length, ...(value[0] === undefined ? [] : shapeOf(value[0]))];
}

/** Writes JSON with all digits of integers above 2^53. */
function writeJson(value: JsonValue): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value) || value instanceof Float64Array) return `[${Array.from(value, writeJson)}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${writeJson(inner)}`)}}`;
}

/** @throws Error with the last response if the server is not ready after `seconds`. */
async function waitUntilReady(url: string, headers: Record<string, string>, seconds: number): Promise<string> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const left = Math.max(1, Math.ceil(end - performance.now()));
    const said = await fetch(`${url}/ready`, { headers, signal: AbortSignal.timeout(left) }).then(
      async (response) => ({ ok: response.ok, text: `${response.status} ${(await response.text()).slice(0, 2000)}` }),
      (error: Error) => ({ ok: false, text: String(error.cause ?? error) }),
    );
    if (said.ok) return said.text;
    if (performance.now() + POLL_MS > end) throw new Error(`not after ${seconds} s: ${said.text}${hint(said.text)}`);
    await sleep(POLL_MS);
  }
}

function hint(text: string): string {
  if (/^40[13] /.test(text)) return ' (the caller needs roles/run.invoker on the service, and a token for its URL)';
  return '';
}

async function identityToken(audience: string | undefined): Promise<string | undefined> {
  const given = process.env.IDENTITY_TOKEN?.trim();
  if (given || audience === undefined) return given || undefined;
  const host = process.env.GCE_METADATA_HOST ?? 'metadata.google.internal';
  const response = await fetch(`http://${host}${METADATA}${encodeURIComponent(audience)}`, {
    headers: { 'Metadata-Flavor': 'Google' },
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const text = (await response.text()).trim();
  if (response.ok) return text;
  throw new Error(
    `the metadata server returned ${response.status}: ${text} (the account needs roles/iam.serviceAccountOpenIdTokenCreator on itself)`,
  );
}

async function check(name: string, run: () => Promise<string | undefined>): Promise<boolean> {
  try {
    const said = await run();
    console.log(`ok      ${name}${said ? `: ${said}` : ''}`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${name}: ${(error as Error).message}`);
    return false;
  }
}

function readArguments() {
  const options = {
    golden: { type: 'string', default: 'models/iris/golden.json' },
    audience: { type: 'string' },
    wait: { type: 'string', default: '120' },
  } as const;
  const { values, positionals } = readCommandLine(USAGE, options, [1, 1]);
  const url = positionals[0]!.replace(/\/+$/, '');
  if (!/^https?:\/\//.test(url)) refuseUsage(`expected a URL with http:// or https://, got ${url}`);
  if (!(Number(values.wait) > 0)) refuseUsage(`--wait takes seconds, got ${values.wait}`);
  return { ...values, url, wait: Number(values.wait) };
}

async function main(): Promise<boolean> {
  const { url, golden: path, audience, wait } = readArguments();
  // Read before anything is sent: a mistake in it is reported at once.
  const given = statSync(path).isDirectory() ? undefined : parseGolden(readFileSync(path, 'utf8'), path);
  const headers: Record<string, string> = {};
  const token = async (): Promise<undefined> => {
    const found = await identityToken(audience);
    if (found !== undefined) headers.Authorization = `Bearer ${found}`;
  };
  if (audience === undefined) await token();
  else if (!(await check('identity token', token))) return false;
  let ready = '';
  if (!(await check('ready', async () => (ready = await waitUntilReady(url, headers, wait))))) return false;
  const file = given === undefined ? findGolden(path, ready.replace(/^\d+ /, '')) : undefined;
  const golden = file === undefined ? given : parseGolden(readFileSync(file, 'utf8'), file);
  return golden === undefined ? checkExample(url, headers) : checkRows(url, headers, golden);
}

async function checkRows(url: string, headers: Record<string, string>, { rows, tolerance }: Golden): Promise<boolean> {
  let right = true;
  for (const [i, row] of rows.entries()) {
    const passed = await check(`row ${i}`, async () => {
      compare(row, await predict(url, headers, row.features), tolerance);
      return Object.keys(row.outputs).join(', ');
    });
    right &&= passed;
  }
  return right;
}

function checkExample(url: string, headers: Record<string, string>): Promise<boolean> {
  return check('example, as the model has no golden.json', async () => {
    const outputs = await predict(url, headers, await exampleOf(url, headers));
    return Object.keys(outputs).join(', ');
  });
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
