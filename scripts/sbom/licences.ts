import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lock } from './packages.ts';
import { nameOf } from './packages.ts';

const LINE = '-'.repeat(80);
const IS_LICENCE = /^(licen[sc]e|notice|copying)([.-](md|markdown|txt|mit|apache|bsd))*$/i;

const INTRODUCTION = `The licences of the packages that are part of this software, each text with the packages that it is of.
onnxruntime's native libraries contain further software: ThirdPartyNotices.txt in https://github.com/microsoft/onnxruntime,
at the tag of the version below, has its notices.
The licences of what the pages use are also stored beside the files of the pages.
`;

/** The owners of packages without a licence file whose `package.json` names another author. */
const OWNERS: Readonly<Record<string, string>> = {
  'onnxruntime-common': '2018 - present Microsoft Corporation',
  'onnxruntime-node': '2018 - present Microsoft Corporation',
};

/**
 * The licence texts of the packages in these folders of `root`, equal texts once.
 * @throws Error if a package has no licence file, and its licence is neither MIT nor Apache-2.0.
 */
export function licenceTexts(root: string, lock: Lock, folders: readonly string[]): string {
  const texts = [...new Set(folders)].sort().flatMap((folder) => {
    const label = `${nameOf(folder)} ${lock[folder]?.version}`;
    return textsOf(root, lock, folder).map((text) => ({ label, text }));
  });
  const sections = Array.from(
    Map.groupBy(texts, ({ text }) => text),
    ([text, same]) => `${LINE}\n${[...new Set(same.map(({ label }) => label))].join('\n')}\n${LINE}\n\n${text}\n`,
  );
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

function textsOf(root: string, lock: Lock, folder: string): string[] {
  const files = readdirSync(join(root, folder)).filter((name) => IS_LICENCE.test(name));
  const read = (name: string): string => readFileSync(join(root, folder, name), 'utf8');
  const texts = files.sort().map((name) => read(name).replaceAll('\r\n', '\n').trim());
  const found = texts.filter((text) => text !== '');
  return found.length > 0 ? found : [standardText(root, folder, lock[folder]?.license)];
}

function standardText(root: string, folder: string, license: string | undefined): string {
  if (license === 'Apache-2.0') return readFileSync(join(root, 'LICENSE'), 'utf8').trim();
  if (license === 'MIT') return `MIT License\n\nCopyright (c) ${ownerOf(root, folder)}\n\n${MIT}`;
  throw new Error(
    `${folder} has no licence file, and its licence is ${license}: add its text to scripts/sbom/licences.ts`,
  );
}

function ownerOf(root: string, folder: string): string {
  const name = nameOf(folder);
  const { author } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    author?: string | { readonly name: string };
  };
  const given = typeof author === 'object' ? author.name : author;
  return OWNERS[name] ?? given ?? `the authors of ${name}`;
}

/** https://spdx.org/licenses/MIT */
const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;
