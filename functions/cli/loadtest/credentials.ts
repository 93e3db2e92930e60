import { readFileSync } from 'node:fs';
import { ServingError } from '../../errors.ts';
import type { Target } from './http/target.ts';
import { fetchIdentityToken } from './identity-token.ts';

/** The options that name tokens. */
export interface CredentialOptions {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly identityToken?: true | string;
}

/**
 * The header fields that authorize requests to a server. With a token of its own and an identity token, the latter is in
 * `X-Serverless-Authorization`, which Cloud Run checks and takes out.
 * @throws ServingError if a token cannot be sent, or an identity token would not be encrypted; the error of the system for the file
 */
export async function readCredentials(
  { token, tokenFile, identityToken }: CredentialOptions,
  target: Target,
  fetchToken: (audience: string) => Promise<string> = fetchIdentityToken,
): Promise<Record<string, string>> {
  const own = tokenFile === undefined ? token : readFileSync(tokenFile, 'utf8').trim();
  if (own !== undefined && !/^[\x21-\x7e]+$/.test(own))
    throw invalid(`${tokenFile ?? '--token'}: expected one token without spaces`);
  const headers = own === undefined ? {} : { Authorization: `Bearer ${own}` };
  if (identityToken === undefined) return headers;
  if (!target.isSecure && !target.isLoopback)
    throw invalid(`${target.origin}: an identity token is sent over https:// alone`);
  const audience = identityToken === true ? target.origin : identityToken;
  const field = own === undefined ? 'Authorization' : 'X-Serverless-Authorization';
  return { ...headers, [field]: `Bearer ${await fetchToken(audience)}` };
}

const invalid = (message: string): ServingError => new ServingError('INVALID_INPUT', message);
