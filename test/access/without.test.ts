import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../helpers/issuer.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const write = tempFiles('without-');

/** Starts an app in a process of its own, sends it a request, and gives the modules that were loaded. */
function modulesOf(env: Record<string, string>, authorization: string): string {
  const program = `
    import { registerHooks } from 'node:module';
    import { once } from 'node:events';
    import { createServer } from 'node:http';
    const loaded = [];
    registerHooks({ resolve(name, context, next) { const found = next(name, context); loaded.push(found.url); return found; } });
    const { createApp } = await import('./functions/app.ts');
    const { readConfig } = await import('./functions/config/settings.ts');
    const log = { levels: () => new Set(), dropped: () => 0, request() {}, info() {}, error: console.error, warning() {}, debug() {} };
    const app = createApp(readConfig(), log);
    const server = createServer(app.handler);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const headers = { authorization: process.env.SENT };
    const { status } = await fetch('http://127.0.0.1:' + server.address().port + '/models', { headers });
    console.log(JSON.stringify([status, loaded]));
    process.exit(0);`;
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, MODEL_URI: 'models/iris', SENT: authorization, ...env },
    encoding: 'utf8',
  });
}

const ACCESS = /\/access\/access\.ts/;
const JOSE = /node_modules\/jose\//;

test('a server without AUTH_ settings loads no authentication', () => {
  const loaded = modulesOf({}, 'Bearer a.b.c');
  assert.match(loaded, /^\[200,/);
  assert.doesNotMatch(loaded, ACCESS);
  assert.doesNotMatch(loaded, JOSE);
});

test('a server with tokens loads no library for JWTs', () => {
  const file = write('tokens.json', JSON.stringify({ tokens: [{ name: 'a', sha256: sha256('t') }] }));
  const loaded = modulesOf({ AUTH_TOKEN_FILE: file }, 'Bearer t');
  assert.match(loaded, /^\[200,/);
  assert.match(loaded, ACCESS);
  assert.doesNotMatch(loaded, JOSE);
});

test('the library for JWTs is loaded for the first of them', () => {
  const env = { AUTH_ISSUER: 'https://issuer.example', AUTH_AUDIENCE: 'me' };
  assert.doesNotMatch(modulesOf(env, 'Bearer opaque'), JOSE);
  const loaded = modulesOf(env, 'Bearer a.b.c');
  assert.match(loaded, /^\[401,/);
  assert.match(loaded, JOSE);
});
