import { setTimeout as delay } from 'node:timers/promises';
import { type Capacity, cpuShare, engineBytes } from '../engine/capacity.ts';
import { ServingError } from '../errors.ts';
import type { MemoryBudget, Room } from './budget.ts';
import { readFiles } from './files.ts';
import {
  type EngineOptions,
  type Generation,
  type LoadPhase,
  prepareGeneration,
  type Telemetry,
} from './generation.ts';
import { bytesOf, type Layout, type ModelVersion, partsOf, stampOf } from './layout.ts';
import { SourceError } from './source.ts';
import type { LocalModel, ModelStore } from './store.ts';

/** A generation that is ready to serve, with what it holds. */
export interface Candidate {
  readonly generation: Generation;
  readonly version: ModelVersion;
  /** Of the parts it was made from. */
  readonly stamp: string;
  /** Starts the engines for which there was no room while another generation served. */
  grow(): void;
  /** Ends it once nobody holds it, and lets go of its files and memory. */
  retire(): Promise<void>;
  /** The same at once. */
  close(): Promise<void>;
}

export interface CandidateOptions {
  readonly store: ModelStore;
  readonly budget: MemoryBudget;
  readonly engine: EngineOptions;
  readonly telemetry: Telemetry;
  /** Models that share the CPUs with this one. */
  readonly sharers: () => number;
  /** Which version is meant. @throws ServingError */
  readonly pick: (layout: Layout) => ModelVersion;
  readonly onListed: (layout: Layout) => void;
  /** `MODEL_SHA256`, where it is of this model. */
  readonly sha256?: string | undefined;
  /** Another version, or another model, may want room beside this one: it leaves some. */
  readonly sparing: () => boolean;
  readonly settleMs?: number;
}

export interface Progress {
  phase(phase: LoadPhase): void;
  /** The model's name and size, once they are known. */
  found(version: Pick<ModelVersion, 'name'>, bytes: number): void;
  fetched(bytes: number): void;
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
export async function prepareCandidate(
  options: CandidateOptions,
  progress: Progress,
  replacing: boolean,
): Promise<Candidate> {
  for (let attempt = 1; ; attempt++) {
    progress.phase('listing');
    const version = await findSettled(options, replacing);
    const candidate = await prepareVersion(options, version, progress, replacing).catch((error: unknown) => {
      if (error instanceof SourceError && error.fault === 'changed') return undefined;
      throw error;
    });
    if (candidate !== undefined) return candidate;
    if (attempt === ATTEMPTS) {
      const message = `${options.store.root}: ${version.name} changed while it was read, ${ATTEMPTS} times over`;
      throw new ServingError('MODEL_FAILED', message);
    }
  }
}

async function look({ store, pick, onListed }: CandidateOptions, gentle: boolean): Promise<ModelVersion> {
  const layout = await store.list(gentle);
  onListed(layout);
  return pick(layout);
}

/** A model of several objects is uploaded one after the other: where one is new, it is taken once two listings are equal. */
async function findSettled(options: CandidateOptions, replacing: boolean): Promise<ModelVersion> {
  let version = await look(options, replacing);
  for (let waits = 0; waits < ATTEMPTS && needsSettling(options.store, version, replacing); waits++) {
    await delay(options.settleMs ?? SETTLE_MS);
    const again = await look(options, replacing);
    if (stampOf(again) === stampOf(version)) return again;
    version = again;
  }
  return version;
}

/**
 * A first load waits only where new weights may belong to a model that is still on its way: nothing serves yet, and every load
 * is confirmed after the read.
 */
function needsSettling({ local }: ModelStore, version: ModelVersion, replacing: boolean): boolean {
  if (local) return replacing;
  const parts = partsOf(version);
  const isFresh = [...parts.values()].some(({ modifiedAt }) => Date.now() - modifiedAt < FRESH_MS);
  const hasWeights = [...parts.keys()].some((path) => !path.endsWith('.json') && !path.endsWith('.onnx'));
  return isFresh && (hasWeights || (replacing && parts.size > 1));
}

/**
 * Looks again once all has been read: of several objects, one may have been replaced while another was read.
 * @throws SourceError `changed`
 */
async function confirm(
  options: CandidateOptions,
  version: ModelVersion,
  weights: readonly string[] | undefined,
  gentle: boolean,
): Promise<void> {
  // One object is pinned to one generation of it.
  if (!options.store.local && partsOf(version, weights).size === 1) return;
  if (stampOf(await look(options, gentle), weights) === stampOf(version, weights)) return;
  throw new SourceError('changed', `${version.name} changed while it was read`);
}

async function prepareVersion(
  options: CandidateOptions,
  version: ModelVersion,
  progress: Progress,
  replacing: boolean,
): Promise<Candidate> {
  const { store, telemetry } = options;
  const bytes = bytesOf(version);
  progress.found(version, bytes);
  const fileBytes = (await store.inMemory()) ? bytes : 0;
  const plan = planEngines(options, bytes, fileBytes);
  const room = await takeRoom(options, version, fileBytes, plan, replacing);
  let files: LocalModel | undefined;
  let generation: Generation | undefined;

  async function close(end: (generation: Generation) => Promise<void>): Promise<void> {
    try {
      if (generation !== undefined) await end(generation);
      await files?.release();
    } finally {
      room.release();
    }
  }

  try {
    progress.phase('fetching');
    files = await store.bring(version, {
      gentle: replacing,
      sha256: options.sha256,
      onBytes: progress.fetched,
    });
    // What was brought is read from a copy: whether it was whole is looked up while its engine loads it.
    const confirmed = files.weights && confirm(options, version, files.weights, replacing);
    confirmed?.catch(() => {});
    const read = await readFiles(store.root, version, files);
    refuseTooLarge(options, version, read.bytes);
    const fitting = enginesThatFit(plan, options.budget.free() + room.bytes - fileBytes);
    room.resize(fileBytes + fitting * plan.each);
    const engine = { ...options.engine, processes: plan.wanted };
    generation = await prepareGeneration(read, engine, telemetry, progress.phase, fitting);
    await (confirmed ?? confirm(options, version, generation.weights, replacing));
  } catch (error) {
    await close((one) => one.close());
    // What was half written when it was read fails in many ways, and all of them say the same.
    if (store.local) await confirm(options, version, generation?.weights, replacing);
    throw error;
  }
  const made = generation;
  return {
    generation: made,
    version,
    stamp: stampOf(version, made.weights),
    grow() {
      const engines = enginesThatFit(plan, options.budget.free() + room.bytes - fileBytes);
      room.resize(fileBytes + engines * plan.each);
      made.grow(engines);
    },
    retire: () => close((one) => one.retire()),
    close: () => close((one) => one.close()),
  };
}

/** Only now it is known which files are its weights, and what came out of compressed ones. @throws ServingError `MODEL_FAILED` */
function refuseTooLarge({ budget }: CandidateOptions, { name }: ModelVersion, bytes: number): void {
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

function planEngines({ engine, budget, sharers, sparing }: CandidateOptions, bytes: number, fileBytes: number): Plan {
  const each = engineBytes(bytes);
  const byCpu = Math.max(1, Math.floor(cpuShare(engine.capacity, engine.intraOpThreads) / sharers()));
  const spared = sparing() ? fileBytes + each : 0;
  const byMemory = budget.limit === undefined ? byCpu : Math.floor((budget.limit - fileBytes - spared) / each);
  return { wanted: engine.processes ?? Math.max(1, Math.min(byCpu, byMemory)), each };
}

const enginesThatFit = ({ wanted, each }: Plan, free: number): number =>
  Math.max(1, Math.min(wanted, Math.floor(free / each)));

/** Room for the file and a first engine. Further engines take what is left. */
async function takeRoom(
  { budget, engine }: CandidateOptions,
  version: ModelVersion,
  fileBytes: number,
  { each }: Plan,
  replacing: boolean,
): Promise<Room> {
  const size = `${version.name} (${bytesOf(version)} bytes)`;
  if (!replacing) return budget.wait(leastOf(engine.capacity, fileBytes, each, budget), `the model ${size}`);
  const room = await budget.take(fileBytes + each);
  if (room !== undefined) return room;
  const message = `there is no room for a new version of ${size} beside the one that serves: raise the memory limit, or mount the bucket`;
  throw new ServingError('MODEL_FAILED', message);
}

/**
 * An estimate is no reason to refuse the one model of a server: where only the machine's limit stands against it, it is let
 * in as long as its file and its weights fit.
 */
function leastOf(capacity: Capacity, fileBytes: number, each: number, budget: MemoryBudget): number {
  const estimate = fileBytes + each;
  if (budget.strict || budget.limit === undefined || capacity.memoryBytes === undefined) return estimate;
  return budget.used() === 0 ? Math.min(estimate, fileBytes + each / 2) : estimate;
}
