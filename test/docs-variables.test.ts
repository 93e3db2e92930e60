import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocks, DOCUMENTATION, readPage } from './helpers/readme.ts';
import { findUnset } from './helpers/shell-variables.ts';

const PAGES = DOCUMENTATION.filter((page) => page.startsWith('docs/deploy/'));
/** Values that a reader would have to put into a line, though the page has a variable for each. */
const PLACEHOLDER = /(?<![\w${-])(PROJECT_ID|PROJECT_NUMBER|REGION|BUCKET|ENDPOINT_ID|MODEL_ID|SERVICE_URL)(?![\w=])/;

const shellOf = (page: string): string =>
  blocks(readPage(page))
    .flatMap(({ language, text }) => (language === 'sh' ? [text] : []))
    .join('\n');

for (const page of PAGES) {
  test(`${page}: every variable of a line is set by a line before it`, () => {
    assert.deepEqual(findUnset(shellOf(page)), []);
  });
}

for (const name of ['ci', 'cloud-build', 'cloud-run', 'functions', 'vertex-ai']) {
  test(`docs/deploy/${name}.md: its first lines have the values of all others`, () => {
    const text = shellOf(`docs/deploy/${name}.md`);
    assert.match(text, /^export PROJECT_ID=my-project REGION=/);
    const left = text.split('\n').filter((line) => PLACEHOLDER.test(line.replaceAll(/s\/\w+\//g, '')));
    assert.deepEqual(left, []);
  });
}

for (const [text, unset] of [
  ['echo $A', ['A']],
  ['A=1\necho $A', []],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's.
  ['export A=1 B=2\necho "$A ${B}"', []],
  ['echo $A\nA=1', ['A']],
  ["echo '$A'", []],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's.
  ['echo "${A:-1}"', ['A']],
  ['for a in 1 2; do echo $a; done', []],
  ['while read -r a; do echo $a; done', []],
  ['# echo $A\necho $HOME', []],
  ['--substitutions "_REGION=$REGION"\necho $_REGION', ['REGION', '_REGION']],
  ['A=$(echo $B)', ['B']],
  ['echo \\$A', []],
] as const) {
  test(`a shell text is read as a shell reads it: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(findUnset(text), unset);
  });
}
