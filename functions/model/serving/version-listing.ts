import { setTimeout as delay } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';
import type { ModelStore } from '../fetch/store.ts';
import { type Layout, type ListedVersion, partsOf, placeOf, stampOf } from '../folder/layout.ts';
import { weightPaths } from '../folder/weights.ts';
import { SourceError } from '../sources/source.ts';

/** How one model is found in a store. */
export interface VersionListingOptions {
  readonly store: ModelStore;
  /** Picks the model's version from a listing. @throws ServingError */
  readonly pick: (layout: Layout) => ListedVersion;
  /** The model's folder below the root, if its name gives it: only that is listed, unless there is no model in it. */
  readonly folder?: string | undefined;
  readonly onListed: (layout: Layout) => void;
  /** Milliseconds between two listings that must be equal. Default: 2000. */
  readonly settleMs?: number;
}

/** A version as it was listed, with the paths below its folder of the weights to which its file refers. */
export interface VersionWithWeights {
  readonly version: ListedVersion;
  readonly weights: readonly string[];
}

/** Parts younger than this may belong to an upload that is not complete. */
const FRESH_MS = 10_000;
const SETTLE_MS = 2000;

/**
 * Lists the model, and picks its version.
 * @param background see {@link ModelStore.list}
 * @param known a version that was listed before, whose weights are listed too, in whatever folder they are
 * @throws ServingError as `pick` does; SourceError
 */
export async function listVersion(
  { store, folder, pick, onListed }: VersionListingOptions,
  background: boolean,
  known?: VersionWithWeights,
): Promise<ListedVersion> {
  const also = known?.weights.map((path) => [known.version.folder, path].filter((part) => part !== '').join('/'));
  let layout = folder === undefined ? undefined : await store.list(background, { under: folder, also });
  if (layout?.models.has(folder!) !== true) layout = await store.list(background, { also });
  onListed(layout);
  return pick(layout);
}

/**
 * Picks the version from a listing. It lists again if the listing lacks weights of the version that serves.
 * @throws ServingError as `pick` does; SourceError
 */
export async function pickListed(
  options: VersionListingOptions,
  layout: Layout,
  serving: VersionWithWeights,
): Promise<ListedVersion> {
  const version = options.pick(layout);
  const isListed = serving.weights.every((path) => version.siblings.has(path));
  if (isListed) return version;
  return listVersion(options, true, { version, weights: serving.weights });
}

/**
 * Finds a version's weights among its listed files, or else by another listing.
 * @param external the locations of the weights, as the file has them: paths relative to the file's folder
 * @throws ServingError `MODEL_FAILED` if one is missing; SourceError `changed`
 */
export async function findWeights(
  options: VersionListingOptions,
  version: ListedVersion,
  external: readonly string[],
  background: boolean,
): Promise<VersionWithWeights> {
  const place = placeOf(options.store.root, version);
  const weights = weightPaths(version.file, external, place);
  const missing = ({ siblings }: ListedVersion): string | undefined => weights.find((path) => !siblings.has(path));
  if (missing(version) === undefined) return { version, weights };
  const again = await listVersion(options, background, { version, weights });
  if (stampOf(again, []) !== stampOf(version, [])) throw changed(version);
  const location = missing(again);
  if (location === undefined) return { version: again, weights };
  const message = `${place} keeps weights in ${location}, which is not beside it: upload it too`;
  throw new ServingError('MODEL_FAILED', message);
}

/**
 * Waits for an upload to end. The files of a model are uploaded one after the other, so new ones are accepted when two listings
 * are equal.
 * @throws SourceError `changed`
 */
export async function awaitUpload(
  options: VersionListingOptions,
  listed: VersionWithWeights,
  background: boolean,
): Promise<void> {
  if (!mayBeUploading(options.store, listed, background)) return;
  await delay(options.settleMs ?? SETTLE_MS);
  await confirmUnchanged(options, listed, background);
}

/**
 * Whether the upload may not be complete. A first load waits for new weights only: no version serves yet, and every load is
 * confirmed after the read.
 */
function mayBeUploading({ local }: ModelStore, { version, weights }: VersionWithWeights, background: boolean): boolean {
  if (local) return background;
  const parts = [...partsOf(version, weights).values()];
  const isFresh = parts.some(({ modifiedAt }) => Date.now() - modifiedAt < FRESH_MS);
  return isFresh && parts.length > 1 && (background || weights.length > 0);
}

/**
 * Lists again when all files are read, and compares: of several objects, one may have been replaced while another was read.
 * @throws SourceError `changed`
 */
export async function confirmUnchanged(
  options: VersionListingOptions,
  listed: VersionWithWeights,
  background: boolean,
): Promise<void> {
  const { version, weights } = listed;
  // A single object is read at one generation of it, and cannot change.
  if (!options.store.local && partsOf(version, weights).size === 1) return;
  const again = await listVersion(options, background, listed);
  if (stampOf(again, weights) !== stampOf(version, weights)) throw changed(version);
}

/** The error for files that changed: `fetchAndPrepare` lists again. */
export function changed({ name }: ListedVersion): SourceError {
  return new SourceError('changed', `${name} changed while it was read`);
}
