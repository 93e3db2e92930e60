import type { CryptoKey, FlattenedJWSInput, JWSHeaderParameters } from 'jose';
import { ServingError } from '../errors.ts';
import type { Logger } from '../telemetry/log/logger.ts';

type Jose = typeof import('jose');
type LocalKeys = ReturnType<Jose['createLocalJWKSet']>;

/** Finds the public key that a JWT names. */
export type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

interface IssuerKeysOptions {
  readonly jose: Jose;
  readonly issuer: string;
  /** The address of the keys; undefined: that in the issuer's discovery document. */
  readonly keysUrl: string | undefined;
  readonly logger: Pick<Logger, 'error' | 'info'>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** The keys are read again, in the background, when they are older. */
const REFRESH_MS = 600_000;
/** A key that is not known makes the server read the keys again, if they are older than this: anybody can send unknown keys. */
const COOLDOWN_MS = 30_000;
/** After a failure the issuer is not asked again for this long. */
const FAILED_MS = 5000;
/** Keys that could not be read again for this long are not used: the issuer may have withdrawn them. */
const LONGEST_MS = 86_400_000;
const TIMEOUT_MS = 5000;

/**
 * Creates the keys of an issuer (OpenID Connect Discovery 1.0, 4; RFC 7517). They are read when the first token needs them. While the
 * issuer cannot be reached, known keys are used.
 * @returns a function that throws `ServingError` `NOT_READY` if the key is not known and the issuer cannot be reached, and jose's
 * `JWKSNoMatchingKey` if the issuer does not have the key.
 */
export function createIssuerKeys({ jose, issuer, keysUrl, logger, now }: IssuerKeysOptions): FindKey {
  let keys: LocalKeys | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  let failure: string | undefined;
  let reading: Promise<void> | undefined;

  async function read(): Promise<void> {
    try {
      const url = keysUrl ?? (await discover(issuer));
      keys = jose.createLocalJWKSet((await fetchJson(url)) as Parameters<Jose['createLocalJWKSet']>[0]);
      readAt = now();
      if (failure !== undefined) logger.info(`the keys of ${issuer} can be read again`);
      failure = undefined;
    } catch (error) {
      failedAt = now();
      const reason = reasonOf(error);
      if (reason !== failure) logger.error(`the keys of ${issuer} cannot be read: ${reason}`);
      failure = reason;
      throw unreachable(reason);
    }
  }

  /** Reads the keys; calls meanwhile share one attempt. @throws ServingError `NOT_READY` */
  function refresh(): Promise<void> {
    if (reading !== undefined) return reading;
    if (now() - failedAt < FAILED_MS) return Promise.reject(unreachable(failure));
    reading = read().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return async (header, token) => {
    const age = now() - readAt;
    if (keys === undefined || age >= LONGEST_MS) await refresh();
    // What fails is logged.
    else if (age >= REFRESH_MS) refresh().catch(() => {});
    try {
      return await keys!(header, token);
    } catch (error) {
      if (!(error instanceof jose.errors.JWKSNoMatchingKey) || now() - readAt < COOLDOWN_MS) throw error;
      await refresh();
      return keys!(header, token);
    }
  };
}

/** Whether tokens may depend on what is read at an address: https, or a server on this machine. */
export function isSafeUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '') return false;
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname))
  );
}

/** The address of an issuer's keys. */
async function discover(issuer: string): Promise<string> {
  const document = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const { issuer: named, jwks_uri: url } = (document ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
  // Discovery 1.0, 4.3: they have to be the same, so that no issuer can speak for another.
  if (named !== issuer) throw new Error(`its discovery document is that of ${JSON.stringify(named)}`);
  if (typeof url !== 'string' || !isSafeUrl(url)) throw new Error('its discovery document has no https jwks_uri');
  return url;
}

async function fetchJson(url: string): Promise<unknown> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { signal, redirect: 'error', headers: { Accept: 'application/json' } });
  if (response.status === 200) return response.json();
  await response.body?.cancel();
  throw new Error(`${url}: status ${response.status}`);
}

/** The reason of a failed fetch is in its cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function unreachable(detail: string | undefined): ServingError {
  const message = 'the token cannot be checked now: the keys of its issuer cannot be read';
  return new ServingError('NOT_READY', message, { retryAfter: FAILED_MS / 1000, detail });
}
