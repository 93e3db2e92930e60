import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
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

/**
 * Finds the caller of a request by its `Authorization: Bearer` (RFC 6750, 2.1), or by the assertion of Identity-Aware Proxy if that
 * is an issuer.
 * @returns at once for a token of the file, and for a JWT that was checked before.
 * @throws ServingError `UNAUTHORIZED`; `NOT_READY` if the keys of a JWT's issuer cannot be read.
 */
export type Authenticate = (headers: IncomingHttpHeaders) => Caller | Promise<Caller>;

const SCHEME = 'bearer ';
const IAP_HEADER = 'x-goog-iap-jwt-assertion';

/** Creates the authentication of callers. @throws Error in one line if the file with tokens cannot be used. */
export function createAccess({ tokenFile, jwt, quota, logger }: AccessOptions): Authenticate {
  const tokens = tokenFile === undefined ? undefined : createTokens({ file: tokenFile, quota, logger });
  const jwts = jwt === undefined ? undefined : createJwtCheck({ ...jwt, logger });
  const behindIap = jwt?.issuers.includes(IAP) === true;

  function find(token: string): Caller | Promise<Caller> {
    // Tokens are found by their digest, so that the time of a search tells nothing of a token.
    const sha256 = hash('sha256', token);
    const caller = tokens?.find(sha256);
    if (caller !== undefined) return caller;
    if (jwts !== undefined) return jwts.check(token, sha256);
    throw invalidToken('the token is not valid');
  }

  return (headers) => {
    const assertion = behindIap ? headers[IAP_HEADER] : undefined;
    const token = typeof assertion === 'string' ? assertion : readBearer(headers.authorization ?? '');
    if (token === '') throw noCredentials('send a token: Authorization: Bearer …');
    const refreshing = tokens?.refresh();
    return refreshing === undefined ? find(token) : refreshing.then(() => find(token));
  };
}

/** The token; empty if there is none. A pattern would take longer on a JWT than its digest does. */
const readBearer = (header: string): string =>
  header.slice(0, SCHEME.length).toLowerCase() === SCHEME ? header.slice(SCHEME.length).trim() : '';
