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

/** The latest valid credentials of a connection. */
interface Remembered {
  readonly header: string;
  /** The value of the header. */
  readonly text: Buffer;
  /** As long as the text: another one is written here to be compared. */
  readonly given: Buffer;
  readonly caller: Caller;
  readonly period: number;
}

const SCHEME = 'bearer ';
const IAP_HEADER = 'x-goog-iap-jwt-assertion';
const NO_TOKEN = 'send a token: Authorization: Bearer …';
/** How long credentials are remembered, and the time between two checks of the file with tokens. */
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
  let periodEnd = performance.now() + PERIOD_MS;
  let refreshing: Promise<void> | undefined;

  function find(token: string): Caller | Promise<Caller> {
    // Tokens are found by their digest, so that the time of a search tells nothing of a token.
    const sha256 = hash('sha256', token);
    const caller = tokens?.find(sha256);
    if (caller !== undefined) return caller;
    if (jwts !== undefined) return jwts.check(token, sha256);
    throw invalidToken('the token is not valid');
  }

  function recall({ headers, socket }: Credentials): Caller | Promise<Caller> {
    const header = behindIap && headers[IAP_HEADER] !== undefined ? IAP_HEADER : 'authorization';
    const text = headers[header];
    if (typeof text !== 'string') throw noCredentials(NO_TOKEN);
    const known = latest.get(socket);
    if (known?.period === period && known.header === header && isSame(text, known)) return known.caller;
    const token = header === IAP_HEADER ? text : readBearer(text);
    if (token === '') throw noCredentials(NO_TOKEN);
    const found = find(token);
    const bytes = Buffer.from(text, 'latin1');
    const one = { header, text: bytes, given: Buffer.alloc(bytes.length), period };
    const remember = (caller: Caller): Caller => {
      latest.set(socket, { ...one, caller });
      return caller;
    };
    return found instanceof Promise ? found.then(remember) : remember(found);
  }

  /** Starts a period: what was remembered before the file is read again must not be used after it. */
  function startPeriod(now: number): void {
    periodEnd = now + PERIOD_MS;
    period += 1;
    refreshing = tokens?.refresh().finally(() => {
      refreshing = undefined;
    });
  }

  return (req) => {
    const now = performance.now();
    if (now >= periodEnd && refreshing === undefined) startPeriod(now);
    return refreshing === undefined ? recall(req) : refreshing.then(() => recall(req));
  };
}

/** Compares in a time that does not depend on where the texts differ. A header has one byte for each character. */
function isSame(text: string, known: Remembered): boolean {
  if (text.length !== known.given.length) return false;
  known.given.write(text, 'latin1');
  return timingSafeEqual(known.given, known.text);
}

/** The token; empty if there is none. */
const readBearer = (header: string): string =>
  header.slice(0, SCHEME.length).toLowerCase() === SCHEME ? header.slice(SCHEME.length).trim() : '';
