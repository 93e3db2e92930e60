import { createHash } from 'node:crypto';

/** An index of all platforms, if there is one; else the manifest of the one image. */
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const ANSWER_MS = 30_000;

/**
 * The digest of a public image's tag: the SHA-256 of the manifest that its registry sends, for every platform that the image has.
 * https://distribution.github.io/distribution/spec/api/ has the protocol, and that of the token.
 * @throws Error if the registry does not send it.
 */
export async function resolveDigest(image: string, fetch = globalThis.fetch): Promise<string> {
  const url = manifestUrl(image);
  const get = (token?: string): Promise<Response> =>
    fetch(url, {
      headers: { Accept: ACCEPT, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch((error: unknown) => {
      throw new Error(`${image}: no answer from ${url}`, { cause: error });
    });
  let response = await get();
  if (response.status === 401) response = await get(await fetchToken(response, fetch));
  if (!response.ok) throw new Error(`${image}: ${url} answered ${response.status}, expected its manifest`);
  const digest = `sha256:${createHash('sha256')
    .update(await response.bytes())
    .digest('hex')}`;
  const named = response.headers.get('docker-content-digest') ?? digest;
  if (named !== digest)
    throw new Error(`${image}: the manifest has the digest ${digest}, but its registry says ${named}`);
  return digest;
}

/** A name without a host is of Docker Hub, where a name without a slash is in `library`. */
function manifestUrl(image: string): string {
  const [name = '', tag = 'latest'] = image.split(':');
  const [host = '', ...path] = name.split('/');
  if (host.includes('.')) return `https://${host}/v2/${path.join('/')}/manifests/${tag}`;
  return `https://registry-1.docker.io/v2/${path.length > 0 ? name : `library/${name}`}/manifests/${tag}`;
}

/** A token for anybody, of the server that the registry names. */
async function fetchToken(response: Response, fetch = globalThis.fetch): Promise<string> {
  const challenge = response.headers.get('www-authenticate') ?? '';
  const given = new Map(Array.from(challenge.matchAll(/(\w+)="([^"]*)"/g), ([, key, value]) => [key!, value!]));
  const realm = given.get('realm');
  if (realm === undefined || !realm.startsWith('https://'))
    throw new Error(`${response.url} wants authentication, and names no server for it: ${challenge}`);
  given.delete('realm');
  const answer = await fetch(`${realm}?${new URLSearchParams([...given])}`, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!answer.ok) throw new Error(`${realm} answered ${answer.status}, expected a token`);
  const { token, access_token } = (await answer.json()) as { token?: string; access_token?: string };
  return token ?? access_token ?? '';
}
