import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Logger } from '../../telemetry/log/logger.ts';

/** The files of TLS, as the settings `TLS_…_FILE` name them. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** Authorities of client certificates; undefined: clients need no certificate. */
  readonly clientAuthorities: string | undefined;
}

/** What was read from the files. */
export interface Certificates {
  /** For Node's `createServer` and `setSecureContext`. */
  readonly options: SecureContextOptions;
  /** The end of the certificate's validity. */
  readonly validTo: Date;
}

/** Kubernetes replaces the files of a secret within about a minute. */
const CHECK_EVERY_MS = 10_000;

/**
 * Reads the certificate, its key and the authorities, and checks that they belong together.
 * @throws Error whose message is one line that names the setting, the file, and what was expected.
 */
export function readCertificates({ certificate, key, clientAuthorities }: TlsFiles): Certificates {
  const cert = readFile('TLS_CERT_FILE', certificate);
  const secret = readFile('TLS_KEY_FILE', key);
  const ca = clientAuthorities === undefined ? undefined : readFile('TLS_CLIENT_CA_FILE', clientAuthorities);
  const leaf = parse('TLS_CERT_FILE', certificate, 'a certificate in PEM', () => new X509Certificate(pem(cert)));
  const own: KeyObject = parse('TLS_KEY_FILE', key, 'a private key in PEM without a passphrase', () =>
    createPrivateKey(secret),
  );
  if (!leaf.checkPrivateKey(own)) {
    throw new Error(`TLS_KEY_FILE=${key}: expected the key of the certificate in ${certificate}, got another key`);
  }
  if (ca !== undefined) {
    // OpenSSL ignores what is not a certificate: every client would be refused, and nothing would say why.
    parse('TLS_CLIENT_CA_FILE', clientAuthorities!, 'certificates in PEM', () => new X509Certificate(pem(ca)));
  }
  const options = { cert, key: secret, ca, minVersion: 'TLSv1.2' } as const;
  parse('TLS_CERT_FILE', certificate, 'a chain of certificates that OpenSSL accepts', () =>
    createSecureContext(options),
  );
  return { options, validTo: new Date(leaf.validTo) };
}

/**
 * Reads the files again every 10 s, and calls `apply` when their content has changed. Files that cannot be used are logged once,
 * and change nothing. A certificate that has expired is logged.
 * @param current what is in use.
 * @returns what ends the checks.
 */
export function watchCertificates(
  files: TlsFiles,
  current: Certificates,
  apply: (options: SecureContextOptions) => void,
  logger: Pick<Logger, 'info' | 'warning' | 'error'>,
): () => void {
  let used = current;
  let problem = '';
  function check(): void {
    try {
      const read = readCertificates(files);
      problem = '';
      if (isSame(read, used)) return;
      apply(read.options);
      used = read;
      logger.info(`the TLS certificate was replaced: the new one is valid to ${read.validTo.toISOString()}`, {});
      warnIfExpired(read, logger);
    } catch (error) {
      const { message } = error as Error;
      // Files that are replaced one after the other do not belong together for a moment: that is logged too.
      if (message !== problem) logger.error(`the TLS certificate is not replaced: ${message}`, {});
      problem = message;
    }
  }
  warnIfExpired(current, logger);
  const timer = setInterval(check, CHECK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

function warnIfExpired({ validTo }: Certificates, logger: Pick<Logger, 'warning'>): void {
  if (validTo.getTime() < Date.now()) {
    logger.warning(`the TLS certificate has expired on ${validTo.toISOString()}: clients refuse it`, {});
  }
}

function isSame({ options: a }: Certificates, { options: b }: Certificates): boolean {
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca;
}

function readFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new Error(`${setting}=${path}: cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** Node would accept DER here, which TLS does not. */
function pem(text: string): string {
  if (text.includes('-----BEGIN ')) return text;
  throw new Error('not PEM');
}

function parse<T>(setting: string, path: string, expected: string, read: () => T): T {
  try {
    return read();
  } catch {
    // OpenSSL's message may quote the file.
    throw new Error(`${setting}=${path}: expected ${expected}`);
  }
}
