import { readFileSync } from 'node:fs';
import { ServingError } from '../../errors.ts';
import { fetchIdentityToken } from './identity-token.ts';

/** As the URL parser writes it. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The options of a command line that say which token to send. */
interface TokenOptions {
  readonly token?: string;
  readonly tokenFile?: string;
  /** The audience; true: the service's own URL. */
  readonly identityToken?: string | true;
}

/**
 * How the bearer token is found; undefined if there is none.
 * @param url the address of the service
 * @throws ServingError for a file without a token, and for an identity token that would not be encrypted; the error of the system
 */
export function tokenSource(
  { token, tokenFile, identityToken }: TokenOptions,
  url: string,
): (() => Promise<string>) | undefined {
  if (token !== undefined) return async () => token.trim();
  if (tokenFile !== undefined) {
    const text = readFileSync(tokenFile, 'utf8').trim();
    if (text === '') throw new ServingError('INVALID_INPUT', `${tokenFile}: expected a token, and it is empty`);
    return async () => text;
  }
  if (identityToken === undefined) return undefined;
  const { origin, protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && !LOOPBACK.test(hostname))
    throw new ServingError('INVALID_INPUT', `${origin}: an identity token is sent over https:// alone`);
  return () => fetchIdentityToken(identityToken === true ? origin : identityToken);
}
