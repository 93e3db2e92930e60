import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lock } from './packages.ts';
import { nameOf } from './packages.ts';

const LINE = '-'.repeat(80);
/** https://www.gnu.org/licenses/ */
const TEXTS = join(import.meta.dirname, 'texts');
const IS_LICENCE = /^(licen[sc]e|notice|copying)([.-](md|markdown|txt|mit|apache|bsd))*$/i;

const INTRODUCTION = `The licences of the packages that are part of this software, each text with the packages that it is of.
onnxruntime's native libraries contain further software: ThirdPartyNotices.txt in https://github.com/microsoft/onnxruntime,
at the tag of the version below, has its notices.
The licences of what the pages use are also stored beside the files of the pages.
`;

/** The owners of packages without a licence file whose `package.json` names another author or none. */
const OWNERS: Readonly<Record<string, string>> = {
  // Of the parts under BSD-3-Clause: dist/esm/wire/varint.js.
  '@bufbuild/protobuf': '2008 Google Inc.',
  'onnxruntime-common': '2018 - present Microsoft Corporation',
  'onnxruntime-node': '2018 - present Microsoft Corporation',
};

/**
 * The licence texts of the packages in these folders of `root`, equal texts once.
 * @throws Error if a package has no licence file, and its licence is none of MIT, Apache-2.0, BSD-3-Clause and LGPL-3.0-or-later.
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

/** @param license may name several that all apply: `(Apache-2.0 AND BSD-3-Clause)` */
function standardText(root: string, folder: string, license = 'none'): string {
  const names = license.replace(/^\((.*)\)$/, '$1').split(' AND ');
  return names.map((name) => oneText(root, folder, name)).join(`\n\n${LINE}\n\n`);
}

function oneText(root: string, folder: string, license: string): string {
  if (license === 'Apache-2.0') return readFileSync(join(root, 'LICENSE'), 'utf8').trim();
  if (license === 'MIT') return `MIT License\n\nCopyright (c) ${ownerOf(root, folder)}\n\n${MIT}`;
  if (license === 'BSD-3-Clause') return `Copyright (c) ${ownerOf(root, folder)}\n\n${BSD}`;
  // The package of libvips: its README lists the libraries in it, with their licences.
  if (license === 'LGPL-3.0-or-later') {
    const texts = [join(root, folder, 'README.md'), ...['lgpl', 'gpl'].map((name) => join(TEXTS, `${name}-3.0.txt`))];
    return texts.map((file) => readFileSync(file, 'utf8').trim()).join(`\n\n${LINE}\n\n`);
  }
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

/** https://spdx.org/licenses/BSD-3-Clause */
const BSD = `Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this
list of conditions and the following disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice,
this list of conditions and the following disclaimer in the documentation
and/or other materials provided with the distribution.

3. Neither the name of the copyright holder nor the names of its contributors
may be used to endorse or promote products derived from this software without
specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.`;
