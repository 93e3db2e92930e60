import { setTimeout as delay } from 'node:timers/promises';
import { ServingError } from '../../errors.ts';
import type { ModelStore } from '../fetch/store.ts';
import { type Layout, type ListedVersion, partsOf, placeOf, stampOf } from '../folder/layout.ts';
import { weightPaths } from '../folder/weights.ts';
import { SourceError } from '../sources/source.ts';

export interface VersionListingOptions {
  readonly store: ModelStore;
  /** Which version is meant. @throws ServingError */
  readonly pick: (layout: Layout) => ListedVersion;
  /** The model's folder below the root, where its name says it: that alone is listed, unless there is no model in it. */
  readonly folder?: string | undefined;
  readonly onListed: (layout: Layout) => void;
  /** Between two listings that have to be equal; 2000 where it is not given. */
  readonly settleMs?: number;
}

/** A version as it was listed, with the paths below its folder of the weights that its file refers to. */
export interface WeighedVersion {
  readonly version: ListedVersion;
  readonly weights: readonly string[];
}

/** Parts younger than this may be half of an upload. */
const FRESH_MS = 10_000;
const SETTLE_MS = 2000;

/**
 * Lists the model and picks the version that is meant.
 * @param background see {@link ModelStore.list}.
 * @param known a version that has been listed before, whose weights are listed wherever they lie.
 * @throws ServingError as `pick` does; SourceError.
 */
export async function listVersion(
  { store, folder, pick, onListed }: VersionListingOptions,
  background: boolean,
  known?: WeighedVersion,
): Promise<ListedVersion> {
  const also = known?.weights.map((path) => [known.version.folder, path].filter((part) => part !== '').join('/'));
  let layout = folder === undefined ? undefined : await store.list(background, { under: folder, also });
  if (layout?.models.has(folder!) !== true) layout = await store.list(background, { also });
  onListed(layout);
  return pick(layout);
}

/**
 * The version that is meant of what was listed, with the weights of the one that serves wherever they lie.
 * @throws ServingError as `pick` does; SourceError where it has to be listed again.
 */
export async function pickListed(
  options: VersionListingOptions,
  layout: Layout,
  serving: WeighedVersion,
): Promise<ListedVersion> {
  const version = options.pick(layout);
  const isListed = serving.weights.every((path) => version.beside.has(path));
  if (isListed) return version;
  return listVersion(options, true, { version, weights: serving.weights });
}

/**
 * Finds a version's weights among what was listed, or else by another listing.
 * @param external where the weights lie, by path from the folder of the model's file, as the file has them.
 * @throws ServingError `MODEL_FAILED` where one is missing; SourceError `changed`.
 */
export async function findWeights(
  options: VersionListingOptions,
  version: ListedVersion,
  external: readonly string[],
  background: boolean,
): Promise<WeighedVersion> {
  const place = placeOf(options.store.root, version);
  const weights = weightPaths(version.file, external, place);
  const missing = ({ beside }: ListedVersion): string | undefined => weights.find((path) => !beside.has(path));
  if (missing(version) === undefined) return { version, weights };
  const again = await listVersion(options, background, { version, weights });
  if (stampOf(again, []) !== stampOf(version, [])) throw changed(version);
  const location = missing(again);
  if (location === undefined) return { version: again, weights };
  const message = `${place} keeps weights in ${location}, which is not beside it: upload it too`;
  throw new ServingError('MODEL_FAILED', message);
}

/**
 * A model of several files is uploaded one after the other: a new part is accepted once two listings are equal.
 * @throws SourceError `changed`
 */
export async function awaitUpload(
  options: VersionListingOptions,
  weighed: WeighedVersion,
  background: boolean,
): Promise<void> {
  if (!mayBeUploading(options.store, weighed, background)) return;
  await delay(options.settleMs ?? SETTLE_MS);
  await confirmUnchanged(options, weighed, background);
}

/**
 * A first load waits only where new weights may belong to a model that is still being uploaded: nothing serves yet, and every
 * load is confirmed after the read.
 */
function mayBeUploading({ local }: ModelStore, { version, weights }: WeighedVersion, background: boolean): boolean {
  if (local) return background;
  const parts = [...partsOf(version, weights).values()];
  const isFresh = parts.some(({ modifiedAt }) => Date.now() - modifiedAt < FRESH_MS);
  return isFresh && parts.length > 1 && (background || weights.length > 0);
}

/**
 * Lists again after all has been read: of several objects, one may have been replaced while another was read.
 * @throws SourceError `changed`
 */
export async function confirmUnchanged(
  options: VersionListingOptions,
  weighed: WeighedVersion,
  background: boolean,
): Promise<void> {
  const { version, weights } = weighed;
  // One object is pinned to one generation of it.
  if (!options.store.local && partsOf(version, weights).size === 1) return;
  const again = await listVersion(options, background, weighed);
  if (stampOf(again, weights) !== stampOf(version, weights)) throw changed(version);
}

/** What `fetchAndPrepare` answers by listing again. */
export function changed({ name }: ListedVersion): SourceError {
  return new SourceError('changed', `${name} changed while it was read`);
}
