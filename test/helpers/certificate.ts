import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate and its private key, in PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What signs a certificate. */
export interface Authority extends TestCertificate {
  readonly name: string;
}

const OID = { commonName: '550403', ecdsaWithSha256: '2a8648ce3d040302', constraints: '551d13', names: '551d11' };
const DAY_MS = 86_400_000;

/** An ASN.1 value (X.690): its tag, its length, and its content. */
function der(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  const head = [tag, ...(length < 128 ? [length] : long)];
  return Buffer.concat([Buffer.from(head), body]);
}

const oid = (hex: string): Buffer => der(6, Buffer.from(hex, 'hex'));
const nameOf = (text: string): Buffer =>
  der(0x30, der(0x31, der(0x30, oid(OID.commonName), der(0x0c, Buffer.from(text)))));
const time = (ms: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14)}Z`));

/**
 * Makes a certificate for localhost, valid from yesterday on (RFC 5280).
 * @param name its common name.
 * @param issuer the authority that signs it; undefined: it signs itself, and is an authority.
 * @param days for which it is valid from now; negative for one that has expired.
 */
export function makeCertificate(name: string, issuer?: Authority, days = 30): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(0x30, oid(OID.ecdsaWithSha256));
  const alternatives = der(0x30, der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  const constraints = issuer === undefined ? der(0x30, der(1, Buffer.from([255]))) : der(0x30);
  const extensions = der(
    0x30,
    der(0x30, oid(OID.constraints), der(1, Buffer.from([255])), der(4, constraints)),
    der(0x30, oid(OID.names), der(4, alternatives)),
  );
  const content = der(
    0x30,
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(issuer?.name ?? name),
    der(0x30, time(Date.now() - 400 * DAY_MS), time(Date.now() + days * DAY_MS)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signer: KeyObject | string = issuer?.key ?? privateKey;
  const signature = sign('sha256', content, signer);
  const whole = der(0x30, content, algorithm, der(3, Buffer.from([0]), signature));
  const lines = whole.toString('base64').match(/.{1,64}/g)!;
  const cert = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  return { name, cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}
