/** Why a request got no response, as it is counted. */
export type FailureKind = 'refused' | 'reset' | 'closed' | 'timeout' | 'dns' | 'tls' | 'protocol' | 'unreachable';

/** What each kind means, for people. */
export const FAILURES: Readonly<Record<FailureKind, string>> = {
  refused: 'the connection was refused',
  reset: 'the connection was reset',
  closed: 'the connection was closed before the response was complete',
  timeout: 'no complete response in time',
  dns: 'the name of the host was not found',
  tls: 'TLS failed, or the certificate is not trusted',
  protocol: 'the response is not HTTP/1.1 with a length',
  unreachable: 'the host cannot be reached',
};

const KINDS: Readonly<Record<string, FailureKind>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
};
/** Codes of OpenSSL, and of Node's check of a certificate. */
const TLS_CODE = /^ERR_(SSL|TLS)_|^EPROTO$|CERT|SIGNATURE|^HOSTNAME_MISMATCH$/;

/** The kind of an error of a connection. @param error undefined: it was closed without one */
export function failureOf(error: Error | undefined): FailureKind {
  if (error === undefined) return 'closed';
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return 'protocol';
  return KINDS[code] ?? (TLS_CODE.test(code) ? 'tls' : 'unreachable');
}
