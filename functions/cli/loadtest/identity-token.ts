import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ServingError } from '../../errors.ts';
import { get } from './http/get.ts';

/** Where identity tokens come from; tests replace it. */
export interface TokenSources {
  /** The metadata server, which machines in Google Cloud have. */
  readonly metadata: { readonly host: string; readonly port: number };
  /** Runs gcloud, and gives its stdout. */
  runGcloud(args: readonly string[]): Promise<string>;
}

const GCLOUD_BOUND_MS = 30_000;
const METADATA_BOUND_MS = 2000;
const METADATA_PATH = '/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=';
/** Three parts in base64url (RFC 7519, 3). */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const SOURCES: TokenSources = {
  metadata: { host: 'metadata.google.internal', port: 80 },
  runGcloud: async (args) => (await promisify(execFile)('gcloud', [...args], { timeout: GCLOUD_BOUND_MS })).stdout,
};

/**
 * An identity token for a service of Cloud Run: from the metadata server, else of the account that gcloud uses. gcloud has tokens for an
 * audience for service accounts alone; Cloud Run takes that of a person without one.
 * @param audience the URL of the service
 * @throws ServingError that says what to do, if neither has one
 */
export async function fetchIdentityToken(audience: string, sources: TokenSources = SOURCES): Promise<string> {
  const attempts = [
    () => fromMetadata(audience, sources),
    () => sources.runGcloud(['auth', 'print-identity-token', `--audiences=${audience}`]),
    () => sources.runGcloud(['auth', 'print-identity-token']),
  ];
  let reason = '';
  for (const attempt of attempts) {
    try {
      const token = (await attempt()).trim();
      if (TOKEN.test(token)) return token;
      reason = 'the text that was returned is not a token';
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      reason = code === 'ENOENT' ? 'gcloud is not installed' : message.trim().split('\n').at(-1)!;
    }
  }
  throw new ServingError(
    'UNAUTHORIZED',
    `no identity token for ${audience}: there is no metadata server, and gcloud has none (${reason}); run gcloud auth login, or give a token with --token-file`,
  );
}

async function fromMetadata(audience: string, { metadata }: TokenSources): Promise<string> {
  const { status, body } = await get(metadata, {
    path: `${METADATA_PATH}${encodeURIComponent(audience)}`,
    headers: { 'Metadata-Flavor': 'Google' },
    timeoutMs: METADATA_BOUND_MS,
  });
  if (status !== 200) throw new Error(`the metadata server returned ${status}`);
  return body.toString();
}
