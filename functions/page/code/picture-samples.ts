import { quoted, type SampleOptions, SCRIPT_TOKEN } from './samples.ts';

/** The body of a request that is a picture: its media type, and the name of its file. */
export interface PictureBody {
  readonly type: string;
  readonly name: string;
}

/** The request with a picture as code: what each language has for it, as the picture is the body. */
export function pictureSampleOf(
  { language, url, hasToken = false }: SampleOptions,
  { type, name }: PictureBody,
): string {
  if (language === 'curl') {
    return [
      `curl ${quoted(url)}`,
      `-H ${quoted(`Content-Type: ${type}`)}`,
      ...(hasToken ? ['-H "Authorization: Bearer $TOKEN"'] : []),
      `--data-binary ${quoted(`@${name}`)}`,
    ].join(' \\\n  ');
  }
  return language === 'TypeScript' ? typeScript(url, type, name, hasToken) : python(url, type, name, hasToken);
}

function python(url: string, type: string, name: string, hasToken: boolean): string {
  const token = hasToken ? ', "Authorization": "Bearer " + os.environ["TOKEN"]' : '';
  return [
    '# pip install requests',
    ...(hasToken ? ['import os', ''] : []),
    'import requests',
    '',
    `headers = {"Content-Type": ${JSON.stringify(type)}${token}}`,
    `with open(${JSON.stringify(name)}, "rb") as picture:`,
    `    response = requests.post(${JSON.stringify(url)}, data=picture, headers=headers)`,
    'response.raise_for_status()',
    'print(response.json())',
  ].join('\n');
}

function typeScript(url: string, type: string, name: string, hasToken: boolean): string {
  const token = hasToken ? `, Authorization: 'Bearer ' + ${SCRIPT_TOKEN}` : '';
  return [
    "import { readFile } from 'node:fs/promises';",
    '',
    `const response = await fetch(${JSON.stringify(url)}, {`,
    "  method: 'POST',",
    `  headers: { 'Content-Type': ${JSON.stringify(type)}${token} },`,
    `  body: await readFile(${JSON.stringify(name)}),`,
    '});',
    'console.log(await response.json());',
  ].join('\n');
}
