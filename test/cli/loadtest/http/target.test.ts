import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTarget, type Target } from '../../../../functions/cli/loadtest/http/target.ts';

const read = (url: string): Target => {
  const target = readTarget(url);
  if (typeof target === 'string') throw new Error(target);
  return target;
};

test('a URL is the host, the port of its scheme, and the path, if it has one', () => {
  const plain = read('http://example.com');
  assert.deepEqual(
    [plain.endpoint, plain.path, plain.host],
    [{ host: 'example.com', port: 80 }, undefined, 'example.com'],
  );
  const secure = read('https://iris-abc.a.run.app/v2/models/iris/infer?x=1');
  assert.deepEqual(secure.endpoint, { host: 'iris-abc.a.run.app', port: 443, tls: {} });
  assert.deepEqual([secure.path, secure.origin], ['/v2/models/iris/infer?x=1', 'https://iris-abc.a.run.app']);
  const ported = read('HTTP://EXAMPLE.com:8080/');
  assert.deepEqual([ported.endpoint.port, ported.host, ported.path], [8080, 'example.com:8080', undefined]);
});

test('an IPv6 address has brackets in the Host field, and none in the connection', () => {
  const { endpoint, host, isLoopback } = read('http://[::1]:8080');
  assert.deepEqual([endpoint.host, host, isLoopback], ['::1', '[::1]:8080', true]);
});

test('loopback is the host itself, not a name that looks like it', () => {
  const hosts = ['localhost', '127.0.0.1', '127.1.2.3', '10.0.0.1', 'localhost.example.com', '127.0.0.1.example.com'];
  assert.deepEqual(
    hosts.map((host) => read(`http://${host}`).isLoopback),
    [true, true, true, false, false, false],
  );
});

for (const url of [
  '',
  'localhost:8080',
  'http://',
  'http:///x',
  'http:host',
  'file:///etc/passwd',
  'ws://host',
  'https://?x',
  'http://[::1',
  'http://host:99999',
])
  test(`'${url}' is refused`, () => assert.match(readTarget(url) as string, /expected the URL of a server/));

test('credentials are refused, and not repeated', () => {
  for (const url of ['http://me@host', 'http://me:secret@host', 'http://:secret@host']) {
    const fault = readTarget(url) as string;
    assert.match(fault, /a user name or a password/);
    assert.ok(!fault.includes('secret'));
  }
});
