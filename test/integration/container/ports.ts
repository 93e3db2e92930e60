import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Answer, call, post, predict } from '../../helpers/calls.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { freePort, type Host, IRIS, spawnHost, startHost } from '../../helpers/hosts.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const ROW = '{"features":[5.1,3.5,1.4,0.2]}';
const HEALTH_CHECK = fileURLToPath(new URL('../../../functions/health-check.ts', import.meta.url));
const SMOKE_TEST = fileURLToPath(new URL('../../../scripts/smoke-test.ts', import.meta.url));

/** The exit code of a program. */
async function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<unknown> {
  const child = spawn(process.execPath, args, { env: { PATH: process.env.PATH, ...env }, stdio: 'ignore' });
  return (await once(child, 'exit'))[0];
}

/** The ports of the container: of requests and of administration, with TLS and without. */
export function ports(): void {
  describe('ports and certificates', { concurrency: 1 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'ports-'));
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    after(() => rmSync(folder, { recursive: true }));

    describe('with ADMIN_PORT', () => {
      let host: Host;
      let admin: { url: string };
      before(async () => {
        const port = await freePort();
        admin = { url: `http://127.0.0.1:${port}` };
        host = await startHost('container', {
          ADMIN_PORT: String(port),
          ADMIN_TOKEN_FILE: file('token', 'secret'),
          INFERENCE_PROCESSES: '1',
        });
        await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
      });
      after(() => host.stop('SIGKILL'));
      const asAdmin = { authorization: 'Bearer secret' };
      const unload = (at: { url: string }): Promise<Answer> =>
        post(at, '/v2/repository/models/iris/unload', {}, asAdmin);

      test('metrics and the admin routes are not found on PORT, not even with the token', async () => {
        for (const answer of [
          await call(host, '/metrics'),
          await unload(host),
          await call(host, '/v2/logging'),
          await post(host, '/v2/logging', {}, asAdmin),
          await call(host, '/v2/trace/setting'),
          await post(host, '/v2/trace/setting', {}, asAdmin),
        ]) {
          assert.deepEqual([answer.status, answer.json().code], [404, 'NOT_FOUND']);
        }
        assert.equal((await predict(host, [5.1, 3.5, 1.4, 0.2])).status, 200);
        const { text } = await call(host, '/openapi.json');
        assert.doesNotMatch(text, /"\/metrics"|repository\/models\/\{name\}\/unload/);
      });

      test('they are served on ADMIN_PORT, with the token where it is needed, and predictions are not', async () => {
        assert.match((await call(admin, '/metrics')).text, /^predictions_total\{/m);
        for (const path of ['/v2/logging', '/v2/trace/setting']) assert.equal((await call(admin, path)).status, 200);
        assert.equal((await post(admin, '/v2/repository/models/iris/unload', {})).status, 401);
        assert.notEqual((await unload(admin)).status, 404);
        for (const path of ['/predict', '/batch_predict']) assert.equal((await post(admin, path, ROW)).status, 404);
        for (const path of ['/', '/models', '/openapi.json']) assert.equal((await call(admin, path)).status, 404);
      });

      test('both are on loopback alone, unless HOST says otherwise', () => {
        const said = host.lines.filter((line) => line.includes('listening on http'));
        assert.equal(said.length, 2);
        for (const line of said) assert.match(line, /, on 127\.0\.0\.1 alone"/);
      });

      test('probes are served on both', async () => {
        for (const at of [host, admin]) {
          for (const path of ['/health', '/v2/health/live']) assert.equal((await call(at, path)).status, 200);
          assert.match((await call(at, '/ready')).text, /ready/);
        }
      });
    });

    describe('with TLS and client certificates', () => {
      const server = makeCertificate('server');
      const authority = makeCertificate('authority');
      const client = makeCertificate('client', authority);
      let host: Host;
      let adminPort: number;
      const env = () => ({
        ADMIN_PORT: String(adminPort),
        TLS_CERT_FILE: file('cert', server.cert),
        TLS_KEY_FILE: file('key', server.key),
        TLS_CLIENT_CA_FILE: file('ca', authority.cert),
      });
      before(async () => {
        adminPort = await freePort();
        host = await startHost('container', { ...env(), INFERENCE_PROCESSES: '1' });
        await until(async () => (await run([HEALTH_CHECK], env())) === 0, 'the model to be ready');
      });
      after(() => host.stop('SIGKILL'));

      test('a client with a certificate gets predictions, and one without gets no response', async () => {
        const known = connect(host, { ca: server.cert, cert: client.cert, key: client.key });
        known.send(postText('/predict', ROW));
        const { status, headers } = await known.answer();
        assert.deepEqual([status, headers['strict-transport-security']], [200, 'max-age=31536000']);
        known.destroy();
        const stranger = connect(host, { ca: server.cert });
        stranger.send(postText('/predict', ROW));
        assert.equal(await stranger.closed, '');
      });

      test('ADMIN_PORT needs no certificate of its clients: probes and scrapes have none', async () => {
        const scrape = connect({ port: adminPort }, { ca: server.cert });
        scrape.send('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
        const { status, body } = await scrape.answer();
        assert.equal(status, 200);
        assert.match(body, /http_connections_closed_total\{reason="tls_handshake"\} [1-9]/);
        scrape.destroy();
      });

      test('SIGTERM ends it with exit code 0', async () => assert.equal((await host.stop()).code, 0));
    });

    test('over TLS, the health check and the smoke test pass, the latter with the authority in NODE_EXTRA_CA_CERTS', async () => {
      const { cert, key } = makeCertificate('server');
      const files = { TLS_CERT_FILE: file('cert', cert), TLS_KEY_FILE: file('key', key) };
      const host = await startHost('container', { ...files, INFERENCE_PROCESSES: '1' });
      try {
        await until(async () => (await run([HEALTH_CHECK], { ...files, PORT: String(host.port) })) === 0, 'the model');
        const smoke = [SMOKE_TEST, `https://localhost:${host.port}`, '--golden', join(IRIS, 'golden.json')];
        assert.equal(await run([...smoke, '--wait', '30'], { NODE_EXTRA_CA_CERTS: files.TLS_CERT_FILE }), 0);
        assert.equal(await run([...smoke, '--wait', '1'], {}), 1, 'without the authority');
      } finally {
        await host.stop('SIGKILL');
      }
    });

    test('a key that is not that of the certificate stops the start with one line that says so', async () => {
      const [one, other] = [makeCertificate('one'), makeCertificate('other')];
      const env = { TLS_CERT_FILE: file('cert', one.cert), TLS_KEY_FILE: file('key', other.key), PORT: '0' };
      const server = spawnHost('container', env);
      assert.equal((await server.waitForEnd()).code, 1);
      const lines = server.lines.map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ severity, message }) => [severity, message]),
        [
          [
            'CRITICAL',
            `TLS_KEY_FILE=${env.TLS_KEY_FILE}: expected the key of the certificate in ${env.TLS_CERT_FILE}, got another key`,
          ],
        ],
      );
    });
  });
}
