import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { verifyBundle } from '../../../functions/model/signature/bundle.ts';
import { readPublicKeys } from '../../../functions/model/signature/public-keys.ts';
import { signFolder } from '../../../scripts/sign-model/sign.ts';
import { addConstant, writeModel } from '../../helpers/models.ts';
import { type SigningKey, signingKey } from '../../helpers/signing-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'signature-'));
after(() => rmSync(folder, { recursive: true }));
const PLACE = 'iris/model.sig';

async function sign({ privateKey }: SigningKey): Promise<string> {
  const model = writeModel(folder, 'iris/3', addConstant(1), { description: 'x' });
  assert.deepEqual(await signFolder(model, privateKey), ['model.json', 'model.onnx']);
  return readFileSync(join(model, 'model.sig'), 'utf8');
}

for (const kind of ['ed25519', 'p256', 'p384', 'rsa', 'rsa-pss'] as const) {
  test(`a signature by a key ${kind} is valid for that key, alone or among others, and for no other`, async () => {
    const key = signingKey(kind);
    const text = await sign(key);
    const others = signingKey('ed25519').pem + signingKey('p256').pem;
    for (const pem of [key.pem, others + key.pem]) {
      const { name, digests, ignored } = verifyBundle(text, readPublicKeys(pem), PLACE);
      assert.deepEqual(
        [name, digests.map(([path]) => path), ignored],
        ['iris/3', ['model.json', 'model.onnx'], ['model.sig']],
      );
    }
    assert.throws(() => verifyBundle(text, readPublicKeys(others), PLACE), {
      code: 'MODEL_FAILED',
      message: 'iris/model.sig: its signature is not valid for a key of MODEL_PUBLIC_KEY_FILE',
    });
  });
}

test('a key that may not sign models is refused, and so is a file with a private key', () => {
  for (const kind of ['small-rsa', 'secp256k1'] as const) {
    assert.throws(() => readPublicKeys(signingKey(kind).pem), /expected an ed25519, ECDSA/);
  }
  const { privateKey, pem } = signingKey('ed25519');
  const secret = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  for (const text of ['', 'x', secret, pem + secret]) assert.throws(() => readPublicKeys(text), /BEGIN PUBLIC KEY/);
});

test('whatever is changed in a signature, it is refused or gives the same files', async () => {
  const key = signingKey('ed25519');
  const keys = readPublicKeys(key.pem);
  const text = await sign(key);
  const expected = verifyBundle(text, keys, PLACE);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 3 }), fc.nat(3), (at, inserted, removed) => {
      const changed = text.slice(0, at) + inserted + text.slice(at + removed);
      try {
        assert.deepEqual(verifyBundle(changed, keys, PLACE), expected);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'MODEL_FAILED');
      }
    }),
  );
});

test('a text that is no signature, or a signature over something else, is refused with what was expected', async () => {
  const key = signingKey('ed25519');
  const keys = readPublicKeys(key.pem);
  const bundle = JSON.parse(await sign(key));
  const refused = (change: (made: typeof bundle) => void, message: RegExp): void => {
    const made = structuredClone(bundle);
    change(made);
    assert.throws(() => verifyBundle(JSON.stringify(made), keys, PLACE), { code: 'MODEL_FAILED', message });
  };
  for (const text of ['', 'null', '[]', '{"dsseEnvelope":1}', '{'])
    assert.throws(() => verifyBundle(text, keys, PLACE), { message: /expected a Sigstore bundle/ });
  refused((made) => {
    made.dsseEnvelope.payloadType = 'text/plain';
  }, /payloadType/);
  for (const change of [
    (made: typeof bundle) => made.dsseEnvelope.signatures.pop(),
    (made: typeof bundle) => delete made.dsseEnvelope.payload,
    (made: typeof bundle) => delete made.dsseEnvelope.signatures[0].sig,
  ])
    refused(change, /signature is not valid/);
});

test('a valid signature over a statement of another kind, or with paths out of the folder, is refused', async () => {
  const { privateKey, pem } = signingKey('ed25519');
  const { sign: signBytes } = await import('node:crypto');
  const { preAuthenticationEncoding } = await import('../../../functions/model/signature/bundle.ts');
  const bundle = JSON.parse(await sign({ privateKey, pem }));
  const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString());
  const resources = statement.predicate.resources;
  const verify = (change: object): unknown => {
    const payload = Buffer.from(JSON.stringify({ ...statement, ...change }));
    const sig = signBytes(null, preAuthenticationEncoding(payload), privateKey).toString('base64');
    const dsseEnvelope = { ...bundle.dsseEnvelope, payload: payload.toString('base64'), signatures: [{ sig }] };
    return verifyBundle(JSON.stringify({ ...bundle, dsseEnvelope }), readPublicKeys(pem), PLACE);
  };
  assert.ok(verify({}));
  const withName = (name: string): object => ({
    predicate: { ...statement.predicate, resources: [...resources, { ...resources[0], name }] },
  });
  for (const change of [
    { _type: 'x' },
    { predicateType: 'https://slsa.dev/provenance/v1' },
    { subject: [] },
    { predicate: { ...statement.predicate, serialization: { method: 'shards' } } },
    ...['../x', '/etc/passwd', '', '.', '..', 'a\0b', resources[0].name].map(withName),
  ]) {
    assert.throws(
      () => verify(change),
      { code: 'MODEL_FAILED', message: /expected a statement/ },
      JSON.stringify(change),
    );
  }
});

test('a link is not signed', async () => {
  const model = writeModel(folder, 'linked', addConstant(1));
  const { symlinkSync } = await import('node:fs');
  writeFileSync(join(folder, 'elsewhere'), 'x');
  symlinkSync(join(folder, 'elsewhere'), join(model, 'weights.bin'));
  await assert.rejects(signFolder(model, signingKey('ed25519').privateKey), /weights\.bin is a link/);
});
