import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Logger } from '../telemetry/log/logger.ts';
import type { Caller } from './caller.ts';
import { invalidToken, noCredentials } from './challenge.ts';
import { createJwtCheck, IAP, type JwtRules } from './jwt.ts';
import type { QuotaLimits } from './quota.ts';
import { createTokens } from './tokens.ts';

/** Who may call; at least one of `tokenFile` and `jwt`. */
export interface AccessOptions {
  /** `AUTH_TOKEN_FILE`. */
  readonly tokenFile: string | undefined;
  readonly jwt: JwtRules | undefined;
  /** Of each caller whose token has none of its own. */
  readonly quota: QuotaLimits | undefined;
  readonly logger: Pick<Logger, 'error' | 'info'>;
}

/** The parts of a request from which its caller is found. */
export type Credentials = Pick<IncomingMessage, 'headers' | 'socket'>;

/**
 * Finds the caller of a request by its `Authorization: Bearer` (RFC 6750, 2.1), or by the assertion of Identity-Aware Proxy if that
 * is an issuer.
 * @returns at once for a token of the file, and for a JWT that was checked before.
 * @throws ServingError `UNAUTHORIZED`; `NOT_READY` if the keys of a JWT's issuer cannot be read.
 */
export type Authenticate = (req: Credentials) => Caller | Promise<Caller>;

/** The latest valid token of a connection. */
interface Remembered {
  readonly token: Buffer;
  /** As long as the token: another one is written here to be compared. */
  readonly given: Buffer;
  readonly caller: Caller;
  readonly period: number;
}

const SCHEME = 'bearer ';
const IAP_HEADER = 'x-goog-iap-jwt-assertion';
/** How long the tokens of connections are remembered. */
const PERIOD_MS = 1000;

/**
 * Creates the authentication of callers. A connection's token is remembered for at most a second, as the digest of a token takes
 * twenty times as long as comparing it.
 * @throws Error in one line if the file with tokens cannot be used.
 */
export function createAccess({ tokenFile, jwt, quota, logger }: AccessOptions): Authenticate {
  const tokens = tokenFile === undefined ? undefined : createTokens({ file: tokenFile, quota, logger });
  const jwts = jwt === undefined ? undefined : createJwtCheck({ ...jwt, logger });
  const behindIap = jwt?.issuers.includes(IAP) === true;
  const latest = new WeakMap<Credentials['socket'], Remembered>();
  let period = 0;
  let periodStart = Number.NEGATIVE_INFINITY;

  function find(token: string): Caller | Promise<Caller> {
    // Tokens are found by their digest, so that the time of a search tells nothing of a token.
    const sha256 = hash('sha256', token);
    const caller = tokens?.find(sha256);
    if (caller !== undefined) return caller;
    if (jwts !== undefined) return jwts.check(token, sha256);
    throw invalidToken('the token is not valid');
  }

  function recall(token: string, socket: Credentials['socket']): Caller | Promise<Caller> {
    const known = latest.get(socket);
    if (known !== undefined && known.period === period && isSame(token, known)) return known.caller;
    const at = period;
    const found = find(token);
    return found instanceof Promise
      ? found.then((caller) => remember(token, socket, caller, at))
      : remember(token, socket, found, at);
  }

  function remember(token: string, socket: Credentials['socket'], caller: Caller, at: number): Caller {
    const bytes = Buffer.from(token, 'latin1');
    latest.set(socket, { token: bytes, given: Buffer.alloc(bytes.length), caller, period: at });
    return caller;
  }

  return ({ headers, socket }) => {
    const assertion = behindIap ? headers[IAP_HEADER] : undefined;
    const token = typeof assertion === 'string' ? assertion : readBearer(headers.authorization);
    if (token === '') throw noCredentials('send a token: Authorization: Bearer …');
    const refreshing = tokens?.refresh();
    const now = performance.now();
    // What was remembered before the file is read again must not be used after it.
    if (refreshing !== undefined || now - periodStart >= PERIOD_MS) {
      period += 1;
      periodStart = now;
    }
    return refreshing === undefined ? recall(token, socket) : refreshing.then(() => recall(token, socket));
  };
}

/** Compares in a time that does not depend on where the texts differ. A header has one byte for each character. */
function isSame(token: string, known: Remembered): boolean {
  if (token.length !== known.given.length) return false;
  known.given.write(token, 'latin1');
  return timingSafeEqual(known.given, known.token);
}

/** The token; empty if there is none. */
function readBearer(header = ''): string {
  const isBearer = header.startsWith('Bearer ') || header.slice(0, SCHEME.length).toLowerCase() === SCHEME;
  return isBearer ? header.slice(SCHEME.length).trim() : '';
}
