import { setTimeout as delay } from 'node:timers/promises';
import { type Capacity, cpuShare, engineBytes } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';
import type { LocalModel, ModelStore } from '../fetch/store.ts';
import { checkTextSizes, readFiles } from '../folder/files.ts';
import { bytesOf, type Layout, type ListedVersion, partsOf, placeOf, stampOf } from '../folder/layout.ts';
import { weightPaths } from '../folder/weights.ts';
import type { MemoryBudget, Reservation } from '../memory-budget.ts';
import { SourceError } from '../sources/source.ts';
import { type EngineOptions, type Generation, prepareGeneration, type Telemetry } from './generation.ts';
import type { LoadPhase } from './load-failure.ts';

/** A generation that is ready to serve, with what it holds. */
export interface PreparedGeneration {
  readonly generation: Generation;
  readonly version: ListedVersion;
  /** Paths below the model's folder of the weights that its file refers to. */
  readonly weights: readonly string[];
  /** Of the parts it was made from. */
  readonly stamp: string;
  /** Starts the engines for which there was no room while another generation served. */
  grow(): void;
  /** Ends it when its usage count is 0, and releases its files and memory. */
  retire(): Promise<void>;
  /** The same at once. */
  close(): Promise<void>;
}

export interface PreparationOptions {
  readonly store: ModelStore;
  readonly budget: MemoryBudget;
  readonly engine: EngineOptions;
  readonly telemetry: Telemetry;
  /** Models that share the CPUs with this one. */
  readonly modelCount: () => number;
  /** Which version is meant. @throws ServingError */
  readonly pick: (layout: Layout) => ListedVersion;
  /** The model's folder below the root, where its name says it: that alone is listed, unless there is no model in it. */
  readonly under?: string | undefined;
  readonly onListed: (layout: Layout) => void;
  /** A listing that was just made to find this model, once. */
  readonly listed?: () => Layout | undefined;
  /** `MODEL_SHA256`, where it is of this model. */
  readonly sha256?: string | undefined;
  /** Keep memory for one more model: a swap, or another model, may need it. */
  readonly sparing: () => boolean;
  /**
   * Runs the part of background work that takes a CPU, one model's at a time: sessions are made, golden rows and warm-up batches
   * run beside the requests of those who serve, and several at once would take all of their CPUs. A model that nothing serves
   * yet does not wait for it.
   */
  readonly inLoadTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly settleMs?: number;
}

export interface Progress {
  phase(phase: LoadPhase): void;
  /** The model's name and size, once they are known. */
  found(version: Pick<ListedVersion, 'name'>, bytes: number): void;
  fetched(bytes: number): void;
}

/** A version as it was listed, with the paths below its folder of the weights that its file refers to. */
interface Weighed {
  readonly version: ListedVersion;
  readonly weights: readonly string[];
}

/** Times that a model is read anew because it changed meanwhile: whoever writes it that often is not done. */
const ATTEMPTS = 5;
/** Parts younger than this may be half of an upload. */
const FRESH_MS = 10_000;
/** Between two listings that have to be equal. */
const SETTLE_MS = 2000;

/**
 * Lists, brings, loads, checks and warms a model.
 * @param replacing another generation serves meanwhile, and must keep its memory: what does not fit is refused.
 * @throws ServingError `MODEL_FAILED` with what is wrong, `NOT_READY` where memory is short at present.
 */
export async function fetchAndPrepare(
  options: PreparationOptions,
  progress: Progress,
  replacing: boolean,
): Promise<PreparedGeneration> {
  for (let attempt = 1; ; attempt++) {
    progress.phase('listing');
    const listed = options.listed?.();
    const version = listed === undefined ? await look(options, replacing) : options.pick(listed);
    // What has changed, or was taken for what it is not, is looked into.
    const candidate = await prepareVersion(options, version, progress, replacing, attempt > 1).catch(
      (error: unknown) => {
        if (error instanceof SourceError && error.fault === 'changed') return undefined;
        throw error;
      },
    );
    if (candidate !== undefined) return candidate;
    if (attempt === ATTEMPTS) {
      const message = `${options.store.root}: ${version.name} changed while it was read, ${ATTEMPTS} times over`;
      throw new ServingError('MODEL_FAILED', message);
    }
  }
}

/** @param of a version that has been listed before, of which the weights are wanted wherever they lie. */
async function look(options: PreparationOptions, background: boolean, of?: Weighed): Promise<ListedVersion> {
  const { store, under, pick, onListed } = options;
  const also = of?.weights.map((path) => [of.version.folder, path].filter((part) => part !== '').join('/'));
  let layout = under === undefined ? undefined : await store.list(background, { under, also });
  if (layout?.models.has(under!) !== true) layout = await store.list(background, { also });
  onListed(layout);
  return pick(layout);
}

/**
 * The version that is meant of what was listed, with the weights of the one that serves wherever they lie.
 * @throws ServingError as `pick` does; SourceError where it has to be listed again.
 */
export async function pickListed(
  options: PreparationOptions,
  layout: Layout,
  serving: Weighed,
): Promise<ListedVersion> {
  const version = options.pick(layout);
  const isListed = serving.weights.every((path) => version.beside.has(path));
  return isListed ? version : look(options, true, { version, weights: serving.weights });
}

/** Finds a version's weights among what was listed, or else by another listing. @throws ServingError `MODEL_FAILED` */
async function weigh(
  options: PreparationOptions,
  version: ListedVersion,
  external: readonly string[],
  background: boolean,
): Promise<Weighed> {
  const place = placeOf(options.store.root, version);
  const weights = weightPaths(version.file, external, place);
  const missing = ({ beside }: ListedVersion): string | undefined => weights.find((path) => !beside.has(path));
  if (missing(version) === undefined) return { version, weights };
  const again = await look(options, background, { version, weights });
  if (stampOf(again, []) !== stampOf(version, [])) throw changed(version);
  const location = missing(again);
  if (location === undefined) return { version: again, weights };
  throw new ServingError(
    'MODEL_FAILED',
    `${place} keeps weights in ${location}, which is not beside it: upload it too`,
  );
}

/**
 * A model of several files is written one after the other: where one is new, it is taken once two listings are equal.
 * @throws SourceError `changed`
 */
async function settle(options: PreparationOptions, weighed: Weighed, replacing: boolean): Promise<void> {
  if (!needsSettling(options.store, weighed, replacing)) return;
  await delay(options.settleMs ?? SETTLE_MS);
  await confirm(options, weighed, replacing);
}

/**
 * A first load waits only where new weights may belong to a model that is still on its way: nothing serves yet, and every load
 * is confirmed after the read.
 */
function needsSettling({ local }: ModelStore, { version, weights }: Weighed, replacing: boolean): boolean {
  if (local) return replacing;
  const parts = [...partsOf(version, weights).values()];
  const isFresh = parts.some(({ modifiedAt }) => Date.now() - modifiedAt < FRESH_MS);
  return isFresh && parts.length > 1 && (replacing || weights.length > 0);
}

/**
 * Looks again once all has been read: of several objects, one may have been replaced while another was read.
 * @throws SourceError `changed`
 */
async function confirm(options: PreparationOptions, weighed: Weighed, background: boolean): Promise<void> {
  const { version, weights } = weighed;
  // One object is pinned to one generation of it.
  if (!options.store.local && partsOf(version, weights).size === 1) return;
  if (stampOf(await look(options, background, weighed), weights) !== stampOf(version, weights)) throw changed(version);
}

function changed({ name }: ListedVersion): SourceError {
  return new SourceError('changed', `${name} changed while it was read`);
}

async function prepareVersion(
  options: PreparationOptions,
  listed: ListedVersion,
  progress: Progress,
  replacing: boolean,
  thorough: boolean,
): Promise<PreparedGeneration> {
  const { store, telemetry } = options;
  const inMemory = await store.inMemory();
  checkTextSizes(store.root, listed);
  let weighed: Weighed = { version: listed, weights: [] };
  let { plan, room, fileBytes } = await reserve(weighed);
  let files: LocalModel | undefined;
  let generation: Generation | undefined;

  /** Memory for what is known of the model so far. */
  async function reserve({ version, weights }: Weighed) {
    const bytes = bytesOf(version, weights);
    progress.found(version, bytes);
    const fileBytes = inMemory ? bytes : 0;
    const plan = planEngines(options, bytes, fileBytes);
    return { plan, fileBytes, room: await reserveMemory(options, version, bytes, fileBytes, plan, replacing) };
  }

  async function close(end: (generation: Generation) => Promise<void>): Promise<void> {
    try {
      if (generation !== undefined) await end(generation);
      await files?.release();
    } finally {
      room.release();
    }
  }

  try {
    await settle(options, weighed, replacing);
    progress.phase('fetching');
    const { sha256 } = options;
    files = await store.fetchModel(listed, { background: replacing, sha256, thorough, onBytes: progress.fetched });
    weighed = await weigh(options, listed, files.external, replacing);
    if (weighed.weights.length > 0) {
      // What was taken for the file alone goes back first: two loads must not wait for each other's second share.
      room.release();
      ({ plan, room, fileBytes } = await reserve(weighed));
      // The weights were none of what was compared before.
      await settle(options, weighed, replacing);
    }
    await files.bringWeights(weighed.weights.map((path) => [path, weighed.version.beside.get(path)!]));
    // A fetched model is read from a copy, so whether its upload was complete is checked while its engine loads it.
    const confirmed = store.local ? undefined : confirm(options, weighed, replacing);
    confirmed?.catch(() => {});
    const { folder } = files;
    const read = await readFiles({ root: store.root, ...weighed, folder, local: store.local });
    refuseTooLarge(options, listed, read.bytes);
    const load = (): Promise<Generation> => {
      const fitting = enginesThatFit(plan, options.budget.free() + room.bytes - fileBytes);
      room.resize(fileBytes + fitting * plan.each);
      const engine = { ...options.engine, processes: plan.wanted };
      return prepareGeneration(read, engine, telemetry, progress.phase, fitting);
    };
    generation = await (replacing ? options.inLoadTurn(load) : load());
    const found = weightPaths(listed.file, generation.external, read.place);
    if (found.some((path) => !weighed.weights.includes(path))) throw changed(listed);
    await (confirmed ?? confirm(options, weighed, replacing));
  } catch (error) {
    await close((one) => one.close());
    // What was half written when it was read fails in many ways, and all of them say the same.
    if (store.local) await confirm(options, weighed, replacing);
    throw error;
  }
  const made = generation;
  return {
    generation: made,
    version: weighed.version,
    weights: weighed.weights,
    stamp: stampOf(weighed.version, weighed.weights),
    grow() {
      const engines = enginesThatFit(plan, options.budget.free() + room.bytes - fileBytes);
      room.resize(fileBytes + engines * plan.each);
      room.settle();
      made.grow(engines);
    },
    retire: () => close((one) => one.retire()),
    close: () => close((one) => one.close()),
  };
}

/** Only now it is known what came out of compressed files. @throws ServingError `MODEL_FAILED` */
function refuseTooLarge({ budget }: PreparationOptions, { name }: ListedVersion, bytes: number): void {
  if (!budget.strict || budget.limit === undefined || engineBytes(bytes) <= budget.limit) return;
  const need = Math.ceil(engineBytes(bytes) / 2 ** 20);
  const limit = Math.floor(budget.limit / 2 ** 20);
  const message = `the model ${name} (${bytes} bytes) needs about ${need} MiB of memory, and MODEL_MEMORY_BUDGET leaves ${limit} MiB`;
  throw new ServingError('MODEL_FAILED', message);
}

interface Plan {
  /** Engine processes, where there is room for all. */
  readonly wanted: number;
  /** Bytes that each takes. */
  readonly each: number;
}

function planEngines(
  { engine, budget, modelCount, sparing }: PreparationOptions,
  bytes: number,
  fileBytes: number,
): Plan {
  const each = engineBytes(bytes);
  const byCpu = Math.max(1, Math.floor(cpuShare(engine.capacity, engine.intraOpThreads) / modelCount()));
  const spared = sparing() ? fileBytes + each : 0;
  const byMemory = budget.limit === undefined ? byCpu : Math.floor((budget.limit - fileBytes - spared) / each);
  return { wanted: engine.processes ?? Math.max(1, Math.min(byCpu, byMemory)), each };
}

const enginesThatFit = ({ wanted, each }: Plan, free: number): number =>
  Math.max(1, Math.min(wanted, Math.floor(free / each)));

/** Room for the file and a first engine. Further engines take what is left. */
async function reserveMemory(
  { budget, engine }: PreparationOptions,
  { name }: ListedVersion,
  bytes: number,
  fileBytes: number,
  { each }: Plan,
  replacing: boolean,
): Promise<Reservation> {
  const size = `${name} (${bytes} bytes)`;
  if (!replacing) return budget.reserve(minimumBytes(engine.capacity, fileBytes, each, budget), `the model ${size}`);
  const room = await budget.reserveForUpdate(fileBytes + each);
  if (room !== undefined) return room;
  const message = `there is no room for a new version of ${size} beside the one that serves: raise the memory limit, or mount the bucket`;
  throw new ServingError('MODEL_FAILED', message);
}

/**
 * An estimate is no reason to refuse the one model of a server: where only the machine's limit stands against it, it is let
 * in as long as its file and its weights fit.
 */
function minimumBytes(capacity: Capacity, fileBytes: number, each: number, budget: MemoryBudget): number {
  const estimate = fileBytes + each;
  if (budget.strict || budget.limit === undefined || capacity.memoryBytes === undefined) return estimate;
  return budget.used() === 0 ? Math.min(estimate, fileBytes + each / 2) : estimate;
}
