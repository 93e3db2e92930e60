import { generateKeyPairSync, type KeyObject } from 'node:crypto';

/** A key pair, with the public key as PEM. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly pem: string;
}

/** A key of each kind that may sign models, and of kinds that may not. */
export function signingKey(
  kind: 'ed25519' | 'p256' | 'p384' | 'rsa' | 'rsa-pss' | 'small-rsa' | 'secp256k1',
): SigningKey {
  const { privateKey, publicKey } = pair(kind);
  return { privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }) as string };
}

function pair(kind: Parameters<typeof signingKey>[0]): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (kind) {
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    case 'rsa-pss':
      return generateKeyPairSync('rsa-pss', {
        modulusLength: 2048,
        hashAlgorithm: 'sha256',
        mgf1HashAlgorithm: 'sha256',
      });
    case 'small-rsa':
      return generateKeyPairSync('rsa', { modulusLength: 1024 });
    default:
      return generateKeyPairSync('ec', { namedCurve: { p256: 'P-256', p384: 'P-384', secp256k1: 'secp256k1' }[kind] });
  }
}
