import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';

interface Pair {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

/** Claims and header members that differ from those of a valid token. */
export interface TokenOptions {
  readonly claims?: JWTPayload;
  /** Seconds from now until it expires. */
  readonly expiresIn?: number;
  /** `none`: unsigned. `HS256`: signed with the text of the public key. Default: the algorithm of the newest key. */
  readonly algorithm?: 'none' | 'HS256';
  /** The `kid` in the header, if it is not that of the key. */
  readonly kid?: string;
}

/** An OpenID Connect issuer on loopback. */
export interface Issuer {
  readonly url: string;
  /** Paths of the requests so far. */
  readonly requests: string[];
  /** What it sends instead, if set. */
  fault: 'status' | 'no JSON' | 'another issuer' | undefined;
  sign(options?: TokenOptions): Promise<string>;
  /** Replaces its keys by a new one. */
  rotate(algorithm?: string): Promise<void>;
  close(): Promise<void>;
}

export const AUDIENCE = 'https://model.example';
/** The claims of a token that `sign` makes without options. */
export const CLAIMS = { sub: '1234567890', email: 'ada@example.com', email_verified: true, groups: ['ml', 'ops'] };

/** Starts an issuer with one key. Close it after the test. */
export async function startIssuer(algorithm = 'RS256'): Promise<Issuer> {
  let pair = await makePair(algorithm, 1);
  let made = 1;
  const requests: string[] = [];
  const server = createServer(async (req, res) => {
    requests.push(req.url!);
    const keys: JWK[] = [{ ...(await exportJWK(pair.publicKey)), kid: pair.kid, alg: pair.algorithm, use: 'sig' }];
    const named = issuer.fault === 'another issuer' ? 'https://other.example' : issuer.url;
    const body = req.url!.endsWith('/keys') ? { keys } : { issuer: named, jwks_uri: `${issuer.url}/keys` };
    res.writeHead(issuer.fault === 'status' ? 500 : 200, { 'Content-Type': 'application/json', Connection: 'close' });
    res.end(issuer.fault === 'no JSON' ? '<html>' : JSON.stringify(body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;

  const issuer: Issuer = {
    url: `http://127.0.0.1:${port}`,
    requests,
    fault: undefined,
    async sign({ claims, expiresIn = 300, algorithm: other, kid }: TokenOptions = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: issuer.url, aud: AUDIENCE, iat: now, exp: now + expiresIn, ...CLAIMS, ...claims };
      if (other === 'none') return new UnsecuredJWT(payload).encode();
      const header = { alg: other ?? pair.algorithm, kid: kid ?? pair.kid };
      const secret = other === 'HS256' ? Buffer.from(await exportSPKI(pair.publicKey)) : pair.privateKey;
      return new SignJWT(payload).setProtectedHeader(header).sign(secret);
    },
    async rotate(next = algorithm) {
      pair = await makePair(next, ++made);
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return issuer;
}

async function makePair(algorithm: string, number: number): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { kid: `key-${number}`, algorithm, privateKey, publicKey };
}

export const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');
