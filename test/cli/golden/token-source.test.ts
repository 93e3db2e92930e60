import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenSource } from '../../../functions/cli/golden/token-source.ts';

test('an identity token is sent over TLS or the loopback alone', () => {
  for (const url of ['http://example.com', 'http://10.0.0.1:8080', 'http://localhost.example.com'])
    assert.throws(() => tokenSource({ identityToken: true }, url), /an identity token is sent over https:\/\/ alone/);
  for (const url of ['https://example.com', 'http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080'])
    assert.equal(typeof tokenSource({ identityToken: true }, url), 'function');
});
