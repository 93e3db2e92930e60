import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectSecurely, type TLSSocket } from 'node:tls';
import { readCertificates, watchCertificates } from '../../../functions/http/connection/certificates.ts';
import { sendJson } from '../../../functions/http/request-context.ts';
import type { Route } from '../../../functions/http/router.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { serveHttp } from '../../helpers/http-server.ts';
import { connect } from '../../helpers/raw-http.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const ROUTES: Route[] = [{ method: 'GET', path: '/', handle: (context) => sendJson(context, 200, '{}') }];
const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

function folder(t: TestContext) {
  const path = mkdtempSync(join(tmpdir(), 'tls-'));
  t.after(() => rmSync(path, { recursive: true }));
  const files = { certificate: join(path, 'cert'), key: join(path, 'key'), clientAuthorities: undefined };
  return {
    files,
    authorities: join(path, 'ca'),
    write({ cert, key }: { cert: string; key: string }): void {
      writeFileSync(files.certificate, cert);
      writeFileSync(files.key, key);
    },
  };
}

/** The common name of the certificate that a server shows. */
function nameAt(port: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectSecurely({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

test('files that cannot be used are refused in one line that names the setting, the file and what was expected', (t) => {
  const { files, authorities, write } = folder(t);
  const [one, other] = [makeCertificate('one'), makeCertificate('other')];
  const { certificate, key } = files;
  for (const [cert, secret, message] of [
    ['nonsense', one.key, `TLS_CERT_FILE=${certificate}: expected a certificate in PEM`],
    ['', one.key, `TLS_CERT_FILE=${certificate}: expected a certificate in PEM`],
    [one.key, one.key, `TLS_CERT_FILE=${certificate}: expected a certificate in PEM`],
    [one.cert, 'nonsense', `TLS_KEY_FILE=${key}: expected a private key in PEM without a passphrase`],
    [one.cert, one.cert, `TLS_KEY_FILE=${key}: expected a private key in PEM without a passphrase`],
    [
      one.cert,
      other.key,
      `TLS_KEY_FILE=${key}: expected the key of the certificate in ${certificate}, got another key`,
    ],
  ] as const) {
    write({ cert, key: secret });
    assert.throws(() => readCertificates(files), { message });
  }
  write(one);
  const missing = { ...files, clientAuthorities: authorities };
  assert.throws(() => readCertificates(missing), {
    message: `TLS_CLIENT_CA_FILE=${authorities}: cannot be read: ENOENT`,
  });
  writeFileSync(authorities, 'nonsense');
  assert.throws(() => readCertificates(missing), {
    message: `TLS_CLIENT_CA_FILE=${authorities}: expected certificates in PEM`,
  });
  assert.equal(readCertificates(files).options.minVersion, 'TLSv1.2');
});

test('changed files are used for new connections, and files that cannot be used change nothing and are logged once', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { files, write } = folder(t);
  const { logger, lines } = recordTelemetry();
  const [first, second, third] = ['first', 'second', 'third'].map((name) => makeCertificate(name)) as [
    ReturnType<typeof makeCertificate>,
    ReturnType<typeof makeCertificate>,
    ReturnType<typeof makeCertificate>,
  ];
  write(first);
  const read = readCertificates(files);
  const { http, port } = await serveHttp(t, ROUTES, { tls: { ...read.options, authority: first.cert } });
  t.after(watchCertificates(files, read, http.setCertificate, logger));
  const open = connect({ port }, { ca: first.cert });
  open.send(GET);
  assert.equal((await open.answer()).status, 200);

  t.mock.timers.tick(10_000);
  assert.deepEqual([await nameAt(port), lines.length], ['first', 0]);

  write({ cert: second.cert, key: first.key });
  t.mock.timers.tick(30_000);
  assert.equal(await nameAt(port), 'first');
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['error'],
  );
  assert.match(lines[0]!.message, /^the TLS certificate is not replaced: TLS_KEY_FILE=.*got another key$/);

  write(second);
  t.mock.timers.tick(10_000);
  assert.equal(await nameAt(port), 'second');
  assert.match(lines.at(-1)!.message, /^the TLS certificate was replaced/);

  write(third);
  t.mock.timers.tick(10_000);
  assert.equal(await nameAt(port), 'third');
  open.send(GET);
  assert.equal((await open.answer()).status, 200, 'an open connection stays');
  open.destroy();
});

test('a certificate that has expired is logged', (t) => {
  const { files, write } = folder(t);
  const { logger, lines } = recordTelemetry();
  write(makeCertificate('old', undefined, -1));
  watchCertificates(files, readCertificates(files), () => assert.fail('replaced'), logger)();
  assert.match(lines[0]!.message, /^the TLS certificate has expired on 20/);
});

test('with authorities, a client without a certificate of one of them is refused, and counted', async (t) => {
  const server = makeCertificate('server');
  const authority = makeCertificate('authority');
  const [good, stranger] = [makeCertificate('client', authority), makeCertificate('client', makeCertificate('x'))];
  const { connect, closedFor, lines } = await serveHttp(t, ROUTES, {
    tls: { cert: server.cert, key: server.key, ca: authority.cert, authority: server.cert },
  });
  const known = connect({ cert: good.cert, key: good.key });
  known.send(GET);
  assert.equal((await known.answer()).status, 200);
  known.destroy();
  for (const credentials of [{}, { cert: stranger.cert, key: stranger.key }]) {
    const client = connect(credentials);
    client.send(GET);
    assert.equal(await client.closed, '');
  }
  assert.equal(await closedFor('tls_handshake'), 2);
  assert.match(String(lines[0]!.fields.reason), /CERT/);
});

test('a client that leaves before or within its handshake is neither counted nor logged', async (t) => {
  const { cert, key } = makeCertificate('server');
  const { http, port, closedFor, lines } = await serveHttp(t, ROUTES, { tls: { cert, key, authority: cert } });
  for (const bytes of ['', '\x16\x03\x01']) {
    const client = connect({ port });
    const [socket] = (await once(http.server, 'connection')) as [Socket];
    if (bytes !== '') client.send(Buffer.from(bytes, 'latin1'));
    client.destroy();
    await once(socket, 'close');
  }
  await new Promise(setImmediate);
  assert.deepEqual([await closedFor('tls_handshake'), lines], [0, []]);
});

test('versions of TLS below 1.2, and requests without TLS, are refused, counted, and get no response in HTTP', async (t) => {
  const { cert, key } = makeCertificate('server');
  const {
    connect: secure,
    port,
    closedFor,
    lines,
  } = await serveHttp(t, ROUTES, { tls: { cert, key, minVersion: 'TLSv1.2', authority: cert } });
  const old = secure({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
  assert.equal(await old.closed, '');
  const plain = connect({ port });
  plain.send(GET);
  assert.doesNotMatch(await plain.closed, /HTTP/);
  assert.equal(await closedFor('tls_handshake'), 2);
  assert.equal(await closedFor('bad_request'), 0);
  assert.deepEqual(
    lines.map(({ message, fields }) => [message, fields.reason]),
    [['TLS handshakes have failed', 'ERR_SSL_UNSUPPORTED_PROTOCOL']],
  );
});
