import { ServingError } from '../../errors.ts';

const ANSWER_MS = 60_000;
const PATH = '/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=';

/**
 * Requests an identity token from the metadata server of Google Cloud, which VMs, Cloud Run, GKE and the steps of Cloud Build have.
 * @param audience the URL of the service that the token is for
 * @throws ServingError `UNAUTHORIZED` with the reason, and what to give instead
 */
export async function fetchIdentityToken(audience: string): Promise<string> {
  const host = process.env.GCE_METADATA_HOST ?? 'metadata.google.internal';
  let response: Response;
  try {
    response = await fetch(`http://${host}${PATH}${encodeURIComponent(audience)}`, {
      headers: { 'Metadata-Flavor': 'Google' },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch (cause) {
    const how = 'outside of Google Cloud give --token "$(gcloud auth print-identity-token)"';
    throw new ServingError('UNAUTHORIZED', `there is no metadata server at ${host}: ${how}`, { cause });
  }
  const text = (await response.text()).trim();
  if (response.ok) return text;
  const role = 'the account needs roles/iam.serviceAccountOpenIdTokenCreator on itself';
  throw new ServingError('UNAUTHORIZED', `the metadata server returned ${response.status}: ${text} (${role})`);
}
