import type { JWTPayload } from 'jose';
import { ServingError } from '../errors.ts';
import { shorten } from '../shorten.ts';
import type { Logger } from '../telemetry/log/logger.ts';
import type { Caller } from './caller.ts';
import { invalidToken } from './challenge.ts';
import { type ClaimRule, findBroken, isUnverified } from './claims.ts';
import { createIssuerKeys, type FindKey } from './issuer-keys.ts';
import { Quota, type QuotaLimits } from './quota.ts';
import { Recent } from './recent.ts';

/** Which JWTs are accepted. */
export interface JwtRules {
  /** URLs of issuers, as `iss` has them. */
  readonly issuers: readonly string[];
  /** `aud` must have one of them. */
  readonly audiences: readonly string[];
  /** All must hold. */
  readonly claims: readonly ClaimRule[];
  /** Of each caller. */
  readonly quota: QuotaLimits | undefined;
}

interface JwtOptions extends JwtRules {
  readonly logger: Pick<Logger, 'error' | 'info'>;
  /** Milliseconds since 1970. Default: the system's clock. */
  readonly clock?: (() => number) | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined;
}

/** Checks JWTs. */
export interface JwtCheck {
  /**
   * The caller of a JWT.
   * @param sha256 the digest of the token, by which checked tokens are remembered.
   * @returns at once for a token that was checked before.
   * @throws ServingError `UNAUTHORIZED`; `NOT_READY` if the keys of its issuer cannot be read.
   */
  check(token: string, sha256: string): Caller | Promise<Caller>;
}

/** What differs from issuer to issuer. */
interface Issuer {
  readonly find: FindKey;
  /** The values of `iss`. */
  readonly names: string[];
  readonly algorithms: string[];
}

/** The issuer of Identity-Aware Proxy, which has no discovery document. */
export const IAP = 'https://cloud.google.com/iap';
const IAP_KEYS = 'https://www.gstatic.com/iap/verify/public_key-jwk';
const GOOGLE = 'https://accounts.google.com';

/** Signatures with a public key (RFC 7518, 3.1; RFC 8037; RFC 9864). HMAC is not among them: its key would be the public one. */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ');
/** The most that the clock of an issuer may be ahead or behind. */
const CLOCK_SKEW_SECONDS = 30;
/** A token is checked again after this time, so that a key that its issuer has withdrawn is noticed. */
const CHECKED_MS = 600_000;
const MOST_TOKENS = 10_000;
const MOST_CALLERS = 10_000;
const LONGEST_NAME = 256;

/** The form of a JWT: three parts in base64url (RFC 7515, 3.1). */
const FORM = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** Creates the check of JWTs. jose is loaded for the first token. */
export function createJwtCheck(options: JwtOptions): JwtCheck {
  const { logger, clock = Date.now, now = () => performance.now() } = options;
  const checked = new Recent<{ readonly caller: Caller; readonly until: number }>(MOST_TOKENS);
  const quotas = new Recent<Quota>(MOST_CALLERS);
  let verify: ReturnType<typeof load> | undefined;

  async function load() {
    const jose = await import('jose');
    const issuers = new Map<unknown, Issuer>();
    for (const issuer of options.issuers) {
      const keysUrl = issuer === IAP ? IAP_KEYS : undefined;
      const find = createIssuerKeys({ jose, issuer, keysUrl, logger, now });
      // Google's older tokens have the name without a scheme (developers.google.com/identity/openid-connect).
      const names = issuer === GOOGLE ? [GOOGLE, 'accounts.google.com'] : [issuer];
      const one = { find, names, algorithms: issuer === IAP ? ['ES256'] : ALGORITHMS };
      for (const name of names) issuers.set(name, one);
    }
    return async (token: string): Promise<JWTPayload> => {
      try {
        // Not verified yet: it only chooses the issuer whose keys the token must match.
        const issuer = issuers.get(jose.decodeJwt(token).iss);
        if (issuer === undefined) throw invalidToken(NOT_VALID, 'the issuer is not in AUTH_ISSUER');
        const { payload } = await jose.jwtVerify(token, issuer.find, {
          issuer: issuer.names,
          audience: [...options.audiences],
          algorithms: issuer.algorithms,
          clockTolerance: CLOCK_SKEW_SECONDS,
          currentDate: new Date(clock()),
          requiredClaims: ['exp', 'sub'],
        });
        return payload;
      } catch (error) {
        if (error instanceof ServingError) throw error;
        throw invalidToken(error instanceof jose.errors.JWTExpired ? EXPIRED : NOT_VALID, (error as Error).message);
      }
    };
  }

  async function checkNew(token: string, sha256: string): Promise<Caller> {
    if (!FORM.test(token)) throw invalidToken(NOT_VALID);
    verify ??= load();
    const claims = await (await verify)(token);
    const broken = findBroken(options.claims, claims);
    if (broken !== undefined) throw invalidToken(NOT_VALID, `AUTH_CLAIMS: the claim ${broken.name} does not match`);
    const caller = callerOf(claims);
    const until = Math.min(claims.exp! * 1000 + CLOCK_SKEW_SECONDS * 1000, clock() + CHECKED_MS);
    checked.set(sha256, { caller, until });
    return caller;
  }

  /** The tokens of a caller share its quota. */
  function callerOf(claims: JWTPayload): Caller {
    const id = `${claims.iss} ${claims.sub}`;
    let quota = quotas.get(id);
    if (quota === undefined && options.quota !== undefined) quota = new Quota(options.quota);
    if (quota !== undefined) quotas.set(id, quota);
    const email = typeof claims.email === 'string' && !isUnverified(claims) ? claims.email : undefined;
    const name = shorten(email ?? claims.sub!, LONGEST_NAME);
    return { id, name, models: undefined, metrics: false, operator: false, quota };
  }

  return {
    check(token, sha256) {
      const known = checked.get(sha256);
      if (known === undefined) return checkNew(token, sha256);
      if (clock() < known.until) return known.caller;
      checked.delete(sha256);
      return checkNew(token, sha256);
    },
  };
}

const NOT_VALID = 'the token is not valid';
const EXPIRED = 'the token has expired';
