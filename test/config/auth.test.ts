import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../../functions/config/settings.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const write = tempFiles('auth-settings-');
const TOKENS = { AUTH_TOKEN_FILE: write('tokens.json', '{"tokens":[]}') };
const ISSUER = { AUTH_ISSUER: 'https://issuer.example', AUTH_AUDIENCE: 'me' };

const INCOMPLETE: [title: string, env: Record<string, string>, message: RegExp][] = [
  [
    'an audience without an issuer',
    { AUTH_AUDIENCE: 'me' },
    /^AUTH_AUDIENCE is set without AUTH_TOKEN_FILE or AUTH_ISSUER/,
  ],
  ['claims without an issuer', { AUTH_CLAIMS: 'a=b', ...TOKENS }, /^AUTH_CLAIMS is set without AUTH_ISSUER/],
  [
    'a quota without authentication',
    { AUTH_QUOTA: 'rows=1' },
    /^AUTH_QUOTA is set without AUTH_TOKEN_FILE or AUTH_ISSUER/,
  ],
  [
    'open routes without authentication',
    { AUTH_OPEN: '/' },
    /^AUTH_OPEN is set without AUTH_TOKEN_FILE or AUTH_ISSUER/,
  ],
  [
    'an issuer without an audience',
    { AUTH_ISSUER: 'https://issuer.example' },
    /^AUTH_ISSUER is set without AUTH_AUDIENCE/,
  ],
  [
    "Google's issuer without claims",
    { AUTH_ISSUER: 'https://issuer.example,https://accounts.google.com', AUTH_AUDIENCE: 'me' },
    /^AUTH_ISSUER=https:\/\/accounts\.google\.com is set without AUTH_CLAIMS: anybody can get a token/,
  ],
  [
    'a token file that is not there',
    { AUTH_TOKEN_FILE: join(import.meta.dirname, 'none.json') },
    /^AUTH_TOKEN_FILE=".*none\.json" is not usable: ENOENT/,
  ],
  [
    'a token file that is broken',
    { AUTH_TOKEN_FILE: write('broken.json', '{"tokens":[{"name":"a","sha256":"secret"}]}') },
    /^AUTH_TOKEN_FILE=".*broken\.json" is not usable: tokens\[0\]\.sha256: expected 64 hexadecimal digits/,
  ],
];

for (const [title, env, message] of INCOMPLETE) {
  test(`${title} stops the start with one line`, () => {
    assert.throws(
      () => readConfig(env),
      ({ name, message: text }: Error) => {
        assert.equal(name, 'ConfigError');
        assert.match(text, message);
        assert.doesNotMatch(text, /\n|secret/);
        return true;
      },
    );
  });
}

test('tokens and issuers can be used alone and together', () => {
  for (const env of [TOKENS, ISSUER, { ...TOKENS, ...ISSUER }]) {
    readConfig({ ...env, AUTH_QUOTA: 'rows=1', AUTH_OPEN: '/metrics' });
  }
  readConfig({ ...ISSUER, AUTH_ISSUER: 'https://accounts.google.com', AUTH_CLAIMS: 'email=a@example.com' });
});
