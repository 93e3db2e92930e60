import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { lstatSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { hashFile } from '../../functions/model/fetch/download.ts';
import { SIGNATURE_FILE } from '../../functions/model/folder/layout.ts';
import {
  MEDIA_TYPE,
  PAYLOAD_TYPE,
  PREDICATE_TYPE,
  preAuthenticationEncoding,
  STATEMENT_TYPE,
} from '../../functions/model/signature/bundle.ts';
import { algorithmOf } from '../../functions/model/signature/public-keys.ts';
import { createFileSource } from '../../functions/model/sources/file.ts';

/** A file with its SHA-256 in hex. */
interface Resource {
  readonly name: string;
  readonly algorithm: 'sha256';
  readonly digest: string;
}

/**
 * Signs all files of a model's folder, or of a version's, as OpenSSF Model Signing 1.0 does with a key, and writes `model.sig` there.
 * @param name the model, or the version of it, for which the signature is valid: `iris`, `iris/3`. Default: from the folder's path.
 * @returns the paths of the signed files
 * @throws Error if there is no `.onnx` file, or a link
 */
export async function signFolder(folder: string, privateKey: KeyObject, name = nameOf(folder)): Promise<string[]> {
  const algorithm = algorithmOf(createPublicKey(privateKey));
  if (algorithm === undefined)
    throw new Error('the key is not ed25519, ECDSA (P-256, P-384, P-521) or RSA of 2048 bits');
  const entries = await createFileSource(folder).list(new AbortController().signal);
  const paths = entries.map(({ path }) => path).filter((path) => path !== SIGNATURE_FILE);
  if (!paths.some((path) => path.endsWith('.onnx'))) throw new Error(`${folder} has no .onnx file`);
  const resources: Resource[] = [];
  for (const path of paths.toSorted()) {
    const file = join(folder, path);
    if (lstatSync(file).isSymbolicLink()) throw new Error(`${file} is a link: put the file itself there`);
    resources.push({ name: path, algorithm: 'sha256', digest: await hashFile(file, 'sha256') });
  }
  const payload = Buffer.from(JSON.stringify(statementOf(name, resources)));
  const { hash, options } = algorithm;
  const signature = sign(hash, preAuthenticationEncoding(payload), { key: privateKey, ...options });
  const bundle = {
    mediaType: MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: hintOf(privateKey) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig: signature.toString('base64'), keyid: '' }],
    },
  };
  writeFileSync(join(folder, SIGNATURE_FILE), `${JSON.stringify(bundle)}\n`);
  return paths;
}

/** The statement: its digest is that of all digests in their order. */
function statementOf(name: string, resources: readonly Resource[]): object {
  const all = createHash('sha256');
  for (const { digest } of resources) all.update(Buffer.from(digest, 'hex'));
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name, digest: { sha256: all.digest('hex') } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: [SIGNATURE_FILE] },
      resources,
    },
  };
}

/** `models/iris/3` is `iris/3`, and `models/iris` is `iris`. */
function nameOf(folder: string): string {
  const path = resolve(folder);
  const own = basename(path);
  return /^\d{1,18}$/.test(own) ? `${basename(dirname(path))}/${own}` : own;
}

/** By which other tools find the public key: the hash of its PEM. */
function hintOf(privateKey: KeyObject): string {
  const pem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' });
  return createHash('sha256').update(pem).digest('hex');
}
