import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';

const PEM = /-----BEGIN PUBLIC KEY-----[^-]*-----END PUBLIC KEY-----/g;
const LEAST_RSA_BITS = 2048;
/** The hash of each curve: the algorithms of OpenSSF Model Signing, whose signatures are in DER. */
const CURVE_HASHES: Readonly<Record<string, string>> = {
  prime256v1: 'sha256',
  secp384r1: 'sha384',
  secp521r1: 'sha512',
};

/**
 * Reads the public keys of a PEM text (`BEGIN PUBLIC KEY`), of which there may be several while keys are rotated.
 * @throws Error that says what is wrong: there is none, or one is not ed25519, ECDSA on P-256, P-384 or P-521, or RSA of 2048 bits
 */
export function readPublicKeys(pem: string): KeyObject[] {
  const found = pem.match(PEM) ?? [];
  if (found.length === 0 || pem.includes('PRIVATE KEY'))
    throw new Error('expected PEM with BEGIN PUBLIC KEY, and no private key');
  return found.map((text) => {
    const key = createPublicKey(text);
    if (algorithmOf(key) === undefined) {
      throw new Error(`expected an ed25519, ECDSA (P-256, P-384, P-521) or RSA key of 2048 bits, got ${describe(key)}`);
    }
    return key;
  });
}

/** Whether one of the keys made the signature. RSA: PSS with SHA-256. */
export function isSignedBy(keys: readonly KeyObject[], data: Uint8Array, signature: Uint8Array): boolean {
  return keys.some((key) => {
    const { hash, options } = algorithmOf(key)!;
    return verify(hash, data, { key, ...options }, signature);
  });
}

/** The arguments of node:crypto's `sign` and `verify` for a key; undefined for one that is not accepted. */
export function algorithmOf(key: KeyObject): { hash: string | null; options: object } | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key;
  if (type === 'ed25519') return { hash: null, options: {} };
  if (type === 'ec') {
    const hash = CURVE_HASHES[details.namedCurve ?? ''];
    return hash === undefined ? undefined : { hash, options: {} };
  }
  if ((type !== 'rsa' && type !== 'rsa-pss') || (details.modulusLength ?? 0) < LEAST_RSA_BITS) return undefined;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return { hash: 'sha256', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength } };
}

function describe({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {};
  return [asymmetricKeyType, namedCurve, modulusLength && `${modulusLength} bits`].filter(Boolean).join(', ');
}
