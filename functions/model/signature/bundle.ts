import type { KeyObject } from 'node:crypto';
import { ServingError } from '../../errors.ts';
import { isSignedBy } from './public-keys.ts';

/** The files that a signature names. */
export interface SignedFiles {
  /** The model for which they were signed: `iris`, or with a version `iris/3`. */
  readonly name: string;
  /** The SHA-256 of each file, in hex, by its path below the model's folder. */
  readonly digests: readonly (readonly [path: string, sha256: string])[];
  /** Paths of files and folders that were left out when the model was signed. */
  readonly ignored: readonly string[];
}

/** Sigstore bundle, its DSSE envelope, the in-toto statement in it, and OpenSSF Model Signing's predicate. */
export const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';

const SHA256 = /^[0-9a-f]{64}$/;
const PATH = /^(?!\.{0,2}(\/|$))[^\0]+$/;

/**
 * Verifies a signature in the format of OpenSSF Model Signing 1.0, made with a key: a Sigstore bundle with an in-toto statement in a
 * DSSE envelope (sigstore/model-transparency, docs/model_signing_format.md).
 * @param text the content of the signature's file. Nothing but the envelope is read before the signature is found to be valid.
 * @param place the display name of that file, for errors
 * @throws ServingError `MODEL_FAILED`
 */
export function verifyBundle(text: string, keys: readonly KeyObject[], place: string): SignedFiles {
  const refuse = (why: string): ServingError => new ServingError('MODEL_FAILED', `${place}: ${why}`);
  const { mediaType, dsseEnvelope } = members(parse(text));
  if (mediaType !== MEDIA_TYPE) throw refuse(`expected a Sigstore bundle with the mediaType ${MEDIA_TYPE}`);
  const { payload, payloadType, signatures } = members(dsseEnvelope);
  if (payloadType !== PAYLOAD_TYPE) throw refuse(`expected an envelope with the payloadType ${PAYLOAD_TYPE}`);
  const signed = Buffer.from(String(payload), 'base64');
  const data = preAuthenticationEncoding(signed);
  const [first] = Array.isArray(signatures) ? signatures : [];
  const signature = Buffer.from(String(members(first).sig), 'base64');
  if (!isSignedBy(keys, data, signature)) throw refuse('its signature is not valid for a key of MODEL_PUBLIC_KEY_FILE');
  const files = readStatement(parse(signed.toString('utf8')));
  if (files === undefined) {
    throw refuse(`expected a statement with the predicateType ${PREDICATE_TYPE}, files with SHA-256, and one subject`);
  }
  return files;
}

/** The bytes that are signed: DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md). */
export function preAuthenticationEncoding(payload: Uint8Array): Uint8Array {
  const head = `DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

function readStatement(statement: unknown): SignedFiles | undefined {
  const { _type, subject, predicateType, predicate } = members(statement);
  const { resources, serialization } = members(predicate);
  const { method, ignore_paths: ignored = [] } = members(serialization);
  const name = Array.isArray(subject) && subject.length === 1 ? members(subject[0]).name : undefined;
  const isKnown = _type === STATEMENT_TYPE && predicateType === PREDICATE_TYPE && method === 'files';
  if (!isKnown || typeof name !== 'string' || !Array.isArray(resources) || !isTexts(ignored)) return undefined;
  const digests = new Map<string, string>();
  for (const resource of resources) {
    const { name: path, algorithm, digest } = members(resource);
    if (typeof path !== 'string' || typeof digest !== 'string') return undefined;
    if (!PATH.test(path) || !SHA256.test(digest) || algorithm !== 'sha256' || digests.has(path)) return undefined;
    digests.set(path, digest);
  }
  return { name, digests: [...digests], ignored };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');
