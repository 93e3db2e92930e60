import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTokens } from '../../functions/access/token-file.ts';
import { sha256 } from '../helpers/issuer.ts';
import { readPage } from '../helpers/readme.ts';

const A = { name: 'a', sha256: sha256('a') };

test('a token has its name and digest, and no right that the file does not give', () => {
  const upper = { ...A, sha256: A.sha256.toUpperCase() };
  assert.deepEqual(parseTokens(`\ufeff${JSON.stringify({ tokens: [upper] })}`), [
    { ...A, metrics: false, operator: false },
  ]);
  const all = { ...A, models: ['iris'], metrics: true, operator: true, quota: { rows: 5 } };
  assert.deepEqual(parseTokens(JSON.stringify({ tokens: [all] })), [all]);
  assert.deepEqual(parseTokens('{"tokens":[]}'), []);
});

const BROKEN: [title: string, document: unknown, message: RegExp][] = [
  ['no tokens', {}, /^tokens: /],
  ['a list', [], /^the document: /],
  ['another member', { tokens: [], token: 'secret' }, /^the document: Unrecognized key: "token"$/],
  ['the token itself', { tokens: [{ name: 'a', token: 'secret' }] }, /^tokens\[0\]\.sha256: expected the SHA-256/],
  ['a misspelt right', { tokens: [{ ...A, model: ['iris'] }] }, /^tokens\[0\]: Unrecognized key: "model"$/],
  [
    'a digest that is too short',
    { tokens: [A, { name: 'b', sha256: 'secret' }] },
    /^tokens\[1\]\.sha256: expected 64 hex/,
  ],
  ['a name with a line break', { tokens: [{ ...A, name: 'a\nb' }] }, /^tokens\[0\]\.name: expected 1 to 128 letters/],
  ['models as a text', { tokens: [{ ...A, models: 'iris' }] }, /^tokens\[0\]\.models: /],
  ['an empty quota', { tokens: [{ ...A, quota: {} }] }, /^tokens\[0\]\.quota: expected at least one limit$/],
  ['a quota of zero', { tokens: [{ ...A, quota: { rows: 0 } }] }, /^tokens\[0\]\.quota\.rows: /],
  [
    'two of one name',
    { tokens: [A, { ...A, sha256: sha256('b') }] },
    /^tokens\[1\]\.name: the same as that of tokens\[0\]$/,
  ],
  ['one token twice', { tokens: [A, { ...A, name: 'b' }] }, /^tokens\[1\]\.sha256: the same as that of tokens\[0\]$/],
];

for (const [title, document, message] of BROKEN) {
  test(`a file with ${title} is refused in one line, which shows no value`, () => {
    assert.throws(
      () => parseTokens(JSON.stringify(document)),
      ({ message: text }: Error) => {
        assert.match(text, message);
        assert.doesNotMatch(text, /\n|secret/);
        return true;
      },
    );
  });
}

test('a file that is not JSON is refused, and nothing of it is shown', () => {
  for (const text of ['', 'secret', '{"tokens":[{"name":"secret"']) {
    assert.throws(() => parseTokens(text), { message: 'it is not JSON' });
  }
});

test('the file of the documentation is a valid one', () => {
  const [, json] = /```json\n([\s\S]+?)```/.exec(readPage('docs/operate/authentication.md'))!;
  assert.deepEqual(
    parseTokens(json!).map(({ name }) => name),
    ['web-shop', 'prometheus'],
  );
});
