import { ServingError } from '../../errors.ts';
import { listNames, shorten } from '../../shorten.ts';
import { type ListedVersion, placeOf, SIGNATURE_FILE } from '../folder/layout.ts';
import type { Entry } from '../sources/source.ts';
import type { SignedFiles } from './bundle.ts';

/** Files that OpenSSF Model Signing leaves out, by the first part of their path. */
const IGNORED = ['.git', '.gitattributes', '.github', '.gitignore'];

/** The listed signature of a version. @throws ServingError `MODEL_FAILED` if there is none */
export function signatureOf(root: string, version: ListedVersion): Entry {
  const entry = version.siblings.get(SIGNATURE_FILE);
  if (entry !== undefined) return entry;
  const message = `${placeOf(root, version)}: it is not signed: there is no ${SIGNATURE_FILE} beside it, and MODEL_SIGNATURE is required`;
  throw new ServingError('MODEL_FAILED', message);
}

/**
 * Compares the listed files of a version with those that were signed.
 * @param modelName the name that a signature must have if the model is the root itself, whose folder may have any name; undefined:
 * any
 * @returns the SHA-256 of each signed file, by its path below the version's folder
 * @throws ServingError `MODEL_FAILED` that names the files that were added or removed, or the model for which they were signed
 */
export function checkSigned(
  root: string,
  version: ListedVersion,
  { name, digests, ignored }: SignedFiles,
  modelName: string | undefined,
): ReadonlyMap<string, string> {
  const place = placeOf(root, version, SIGNATURE_FILE);
  const refuse = (why: string): ServingError => new ServingError('MODEL_FAILED', `${place}: ${why}`);
  if (!isFor(name, version, modelName)) {
    const own = [modelName ?? version.name, version.number].filter((part) => part !== undefined).join('/');
    throw refuse(`it was made for ${JSON.stringify(shorten(name))}, and this is ${JSON.stringify(own)}`);
  }
  const signed = new Map(digests);
  const isIgnored = (path: string): boolean =>
    path === SIGNATURE_FILE ||
    IGNORED.includes(path.split('/')[0]!) ||
    ignored.some((one) => path === one || path.startsWith(`${one}/`));
  const listed = [version.file, ...version.siblings.keys()];
  const added = listed.filter((path) => !signed.has(path) && !isIgnored(path));
  if (added.length > 0) throw refuse(`it does not have these files, which are there: ${listNames(added)}`);
  const removed = [...signed.keys()].filter((path) => path !== version.file && !version.siblings.has(path));
  if (removed.length > 0) throw refuse(`it has these files, which are not there: ${listNames(removed)}`);
  return signed;
}

/** Whether files that were signed for a model, `iris`, or a version of it, `iris/3`, may be those of this version. */
function isFor(given: string, { name, number, folder }: ListedVersion, modelName: string | undefined): boolean {
  const [, model, digits] = /^(.*?)(?:\/0*(\d+))?$/s.exec(given)!;
  // A root that is a model may have a folder of any name, such as the copies that Vertex AI makes.
  const isRoot = /^\d*$/.test(folder);
  const expected = isRoot ? modelName : name;
  if (expected !== undefined && model !== expected) return false;
  return number === undefined ? isRoot || digits === undefined : digits === number;
}
