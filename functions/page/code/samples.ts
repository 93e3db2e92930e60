/** The languages of the code samples. */
export type Language = 'curl' | 'Python' | 'TypeScript';

/** Most characters of a body in a sample; a longer one is read from a file. */
const LONGEST = 4000;

/** The request as code. @param body JSON on one line. @param hasToken whether it needs a token: that in the variable `TOKEN`. */
export function sampleOf(language: Language, url: string, body: string, hasToken = false): string {
  const isLong = body.length > LONGEST;
  if (language === 'curl') return curl(url, isLong ? '@row.json' : body, hasToken);
  if (language === 'Python') return python(url, isLong ? undefined : body, hasToken);
  return typeScript(url, isLong ? undefined : body, hasToken);
}

/** Quotes a text for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function curl(url: string, data: string, hasToken: boolean): string {
  return [
    `curl ${quoted(url)}`,
    "-H 'Content-Type: application/json'",
    ...(hasToken ? ['-H "Authorization: Bearer $TOKEN"'] : []),
    `--data-binary ${quoted(data)}`,
  ].join(' \\\n  ');
}

function python(url: string, body: string | undefined, hasToken: boolean): string {
  const data = body === undefined ? 'open("row.json", "rb").read()' : 'json.dumps(row).encode()';
  return [
    'import json',
    ...(hasToken ? ['import os'] : []),
    'import urllib.request',
    '',
    ...(body === undefined ? [] : [`row = ${pythonOf(body)}`]),
    'request = urllib.request.Request(',
    `    ${pythonOf(JSON.stringify(url))},`,
    `    data=${data},`,
    hasToken
      ? '    headers={"Content-Type": "application/json", "Authorization": f"Bearer {os.environ[\'TOKEN\']}"},'
      : '    headers={"Content-Type": "application/json"},',
    ')',
    'with urllib.request.urlopen(request) as response:',
    '    print(json.load(response))',
  ].join('\n');
}

/** JSON as a Python literal: they differ in one escape of strings, and in three words. */
function pythonOf(json: string): string {
  const words: Record<string, string> = { true: 'True', false: 'False', null: 'None' };
  return json.replace(/"(?:[^"\\]|\\.)*"|true|false|null/g, (token) => words[token] ?? unslash(token));
}

const unslash = (text: string): string => text.replace(/\\./g, (pair) => (pair === '\\/' ? '/' : pair));

function typeScript(url: string, body: string | undefined, hasToken: boolean): string {
  const lines = body === undefined ? ["import { readFile } from 'node:fs/promises';", ''] : [];
  const data = body === undefined ? "await readFile('row.json')" : scriptOf(body);
  return [
    ...lines,
    `const response = await fetch(${JSON.stringify(url)}, {`,
    "  method: 'POST',",
    hasToken
      ? // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
        "  headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${process.env.TOKEN}` },"
      : "  headers: { 'Content-Type': 'application/json' },",
    `  body: ${data},`,
    '});',
    'console.log(await response.json());',
  ].join('\n');
}

/** The body as an object literal, or as a string if a literal would change it: it rounds long numbers, and `__proto__` is not a key in it. */
function scriptOf(body: string): string {
  return /\d{16}|__proto__/.test(body) ? JSON.stringify(body) : `JSON.stringify(${body})`;
}
