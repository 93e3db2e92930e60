import { readFileSync } from 'node:fs';
import type * as z from 'zod/mini';
import { type ClaimRule, parseClaims } from '../access/claims.ts';
import { isSafeUrl } from '../access/issuer-keys.ts';
import { OPEN_ROUTES, type OpenRoute } from '../access/open-routes.ts';
import type { QuotaLimits } from '../access/quota.ts';
import { createQuotaSchema, parseTokens } from '../access/token-file.ts';
import { listOf, optional, parsed, setting, text } from './schema.ts';

/** Anybody can get a token of these issuers, for any audience: claims have to say whose token is accepted. */
const SHARED_ISSUERS: readonly string[] = [
  'https://accounts.google.com',
  'https://token.actions.githubusercontent.com',
  'https://gitlab.com',
];

/** A schema for texts that are separated by commas. */
const list = <T extends string>(accepts: (item: string) => item is T): z.ZodMiniType<T[], string> =>
  listOf((items) => items.every((item) => accepts(item)));

const isIssuer = (item: string): item is string => isSafeUrl(item) && !/[?#\s]/.test(item);
const isNamed = (item: string): item is string => item !== '';
const isOpenable = (item: string): item is OpenRoute => (OPEN_ROUTES as readonly string[]).includes(item);

const claims: z.ZodMiniType<readonly ClaimRule[], string> = parsed(parseClaims);

/** `requests=100,rows=10000,concurrency=8`, or some of them. */
const quota = parsed((given): QuotaLimits | undefined => {
  if (!/^(requests|rows|concurrency)=\d{1,10}(,(requests|rows|concurrency)=\d{1,10}){0,2}$/.test(given))
    return undefined;
  const pairs = given.split(',').map((part) => part.split('=') as [string, string]);
  return createQuotaSchema().safeParse(Object.fromEntries(pairs.map(([name, value]) => [name, Number(value)]))).data;
});

/** The settings that say who may call. */
export const AUTH_SETTINGS = {
  AUTH_TOKEN_FILE: setting(
    '',
    optional(text),
    'the path of a file with tokens',
    'JSON file with the SHA-256 of the bearer tokens of callers, and their rights. Read again when it changes.',
  ),
  AUTH_ISSUER: setting(
    '',
    optional(list(isIssuer)),
    'https URLs, separated by commas',
    'Issuers of JWTs (OpenID Connect) that callers may send as bearer tokens; needs `AUTH_AUDIENCE`.',
  ),
  AUTH_AUDIENCE: setting(
    '',
    optional(list(isNamed)),
    'texts, separated by commas',
    'Audiences of JWTs, one of which `aud` must have.',
  ),
  AUTH_CLAIMS: setting(
    '',
    optional(claims),
    'name=value|value,name=value',
    'Claims that a JWT must have, separated by commas, such as `email=ada@example.com,groups=ml`.',
  ),
  AUTH_QUOTA: setting(
    '',
    optional(quota),
    'requests=…,rows=…,concurrency=…, or some of them',
    'Requests per second, rows per second and requests at the same time of each caller without a quota of its own: `requests=100,rows=10000,concurrency=8`. Unset: no limit.',
  ),
  AUTH_OPEN: setting(
    '',
    optional(list(isOpenable)),
    `paths among ${OPEN_ROUTES.join(' ')}, separated by commas`,
    'Routes that need no authentication, in addition to the probes: `/`, `/docs`, `/openapi.json`, `/metrics`, `/v2/models/{name}/ready`.',
  ),
};

type AuthName = keyof typeof AUTH_SETTINGS;
type AuthConfig = { readonly [K in AuthName]: z.infer<(typeof AUTH_SETTINGS)[K]['schema']> };

/**
 * Finds settings that contradict each other, or leave open who may call.
 * @returns the fault in one line, which names the setting.
 */
export function findAuthFault(config: AuthConfig): string | undefined {
  const { AUTH_TOKEN_FILE: file, AUTH_ISSUER: issuers } = config;
  const lonely = issuers === undefined ? ['AUTH_AUDIENCE', 'AUTH_CLAIMS'] : [];
  if (issuers === undefined && file === undefined) lonely.push('AUTH_QUOTA', 'AUTH_OPEN');
  const other = lonely.find((name) => config[name as AuthName] !== undefined);
  if (other !== undefined) {
    const needed = lonely.includes('AUTH_OPEN') ? 'AUTH_TOKEN_FILE or AUTH_ISSUER' : 'AUTH_ISSUER';
    return `${other} is set without ${needed}: set that too, or neither`;
  }
  if (issuers !== undefined && config.AUTH_AUDIENCE === undefined) {
    return 'AUTH_ISSUER is set without AUTH_AUDIENCE: tokens that were issued for other servers would be accepted';
  }
  const shared = issuers?.find((issuer) => SHARED_ISSUERS.includes(issuer));
  if (shared !== undefined && config.AUTH_CLAIMS === undefined) {
    return `AUTH_ISSUER=${shared} is set without AUTH_CLAIMS: anybody can get a token of this issuer for your audience`;
  }
  try {
    if (file !== undefined) parseTokens(readFileSync(file, 'utf8'));
    return undefined;
  } catch (error) {
    return `AUTH_TOKEN_FILE=${JSON.stringify(file)} is not usable: ${(error as Error).message}`;
  }
}
