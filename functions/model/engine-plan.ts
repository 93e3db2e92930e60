import {
  bodyMemory,
  type Capacity,
  cpuShare,
  engineBytes,
  furtherEngineBytes,
  modelMemory,
  packedEngineBytes,
} from '../engine/capacity.ts';
import type { WeightUse } from '../engine/process/model-source.ts';
import { ServingError } from '../errors.ts';
import type { MemoryBudget, Reservation } from './memory-budget.ts';

/** The budget and the CPUs that an {@link EnginePlan} shares with the other models. */
export interface EnginePlanOptions {
  readonly budget: MemoryBudget;
  readonly engine: {
    readonly capacity: Capacity;
    /** Engine processes; undefined: as many as CPUs and memory allow. */
    readonly processes: number | undefined;
    readonly intraOpThreads: number;
    /** `WEIGHTS`. Default: auto. */
    readonly weights?: WeightSetting;
  };
  /** Models that share the CPUs with this one. */
  readonly modelCount: () => number;
  /** Keep memory for one more model: an update, or another model, may need it. */
  readonly keepsSpareMemory: () => boolean;
  /** In how many of the last ten seconds requests used the model: see {@link MemoryBudget.reserve}. Default: infinite. */
  readonly usedSeconds?: () => number;
}

/** For a smaller model the estimate is near enough, and does not depend on what an engine without a model takes. */
const LEAST_MEASURED_BYTES = 16 * 2 ** 20;

/** How engines have their weights; auto: packed, unless mapped ones let twice as many engine processes fit into memory. */
export type WeightSetting = 'auto' | WeightUse;

/** The first engine process of a model, when it has loaded the model and is warm. */
export interface FirstEngine {
  /** Its memory without the pages of files; undefined if it cannot be measured. */
  readonly privateBytes: number | undefined;
  /** The bytes of the model's file that it maps. */
  readonly mappedBytes: number;
  /** Whether they are those of a compiled model. Default: they are not. */
  readonly isCompiled?: boolean;
  /** What the processes that prepare its inputs take; undefined: as estimated. */
  readonly preparingBytes?: number | undefined;
}

/** The memory that a model needs. */
interface ModelSize {
  readonly name: string;
  /** Of the model and its weights. */
  readonly bytes: number;
  /** Those of them that take memory as files, as on Cloud Run and tmpfs; else 0. */
  readonly fileBytes: number;
  /** The bytes of the model's file that engines can map; undefined if that is not known before it is loaded. */
  readonly mappableBytes?: number | undefined;
  /** The bytes of the processes that prepare its inputs. Default: there are none. */
  readonly preparingBytes?: number | undefined;
}

/** The engine processes of one model, and the memory that is reserved for them. */
export class EnginePlan {
  /** How many engine processes the model gets if there is memory for all. */
  readonly wanted: number;
  readonly weights: WeightUse;
  /** Whether less than the estimate is reserved: the model may turn out not to fit. */
  readonly isShort: boolean;
  readonly #capacity: Capacity;
  readonly #processes: number | undefined;
  readonly #spare: number;
  /** Bytes of one engine process as estimated, then as measured. */
  #each: number;
  #isMoreThanEstimate = false;
  #engines = 1;
  /** Bytes of files that all engines share. */
  #files: number;
  /** Bytes of the processes that prepare inputs. */
  #preparing: number;
  readonly #budget: MemoryBudget;
  readonly #reservation: Reservation;

  /**
   * Reserves memory for the file and a first engine. Further engines take free memory later.
   * @param background for an update: another generation serves meanwhile, and must keep its memory.
   * @throws ServingError `MODEL_FAILED` if it can never fit, or not beside the generation that serves; `NOT_READY` if memory is
   * short at present.
   */
  static async reserve(options: EnginePlanOptions, size: ModelSize, background: boolean): Promise<EnginePlan> {
    const { budget, usedSeconds } = options;
    const { name, bytes, fileBytes, preparingBytes = 0 } = size;
    const each = firstEngineBytes(size);
    const described = `${name} (${bytes} bytes)`;
    if (!background) {
      const least = minimumBytes(options, size);
      return new EnginePlan(options, size, await budget.reserve(least, `the model ${described}`, usedSeconds));
    }
    const reservation = await budget.reserveForUpdate(fileBytes + preparingBytes + each, usedSeconds);
    if (reservation !== undefined) return new EnginePlan(options, size, reservation);
    const message = `there is no room for a new version of ${described} beside the one that serves: raise the memory limit, or mount the bucket`;
    throw new ServingError('MODEL_FAILED', message);
  }

  private constructor(options: EnginePlanOptions, size: ModelSize, reservation: Reservation) {
    const { budget, engine, keepsSpareMemory } = options;
    const { bytes, fileBytes, preparingBytes = 0 } = size;
    this.weights = chooseWeights(options, size);
    this.#capacity = engine.capacity;
    this.#processes = engine.processes;
    this.#each = firstEngineBytes(size);
    this.#files = fileBytes;
    this.#preparing = preparingBytes;
    this.isShort = reservation.bytes < this.#shared() + this.#each;
    this.#spare = keepsSpareMemory() ? this.#shared() + engineBytes(bytes) : 0;
    const most = budget.limit === undefined ? Number.POSITIVE_INFINITY : budget.limit - this.#spare;
    this.wanted = engine.processes ?? Math.max(1, Math.min(countByCpu(options), enginesIn(most, size, this.weights)));
    this.#budget = budget;
    this.#reservation = reservation;
  }

  /** Bytes beside those of engines. */
  #shared(): number {
    return this.#files + this.#preparing;
  }

  /**
   * Replaces the estimate for further engines by the memory of the first, if it maps the model's file, or if it takes more: then
   * engines leave room for request bodies too. The estimate for processes that prepare inputs is replaced if they were measured.
   */
  measure({ privateBytes, mappedBytes, isCompiled = false, preparingBytes }: FirstEngine): void {
    if (preparingBytes !== undefined) this.#preparing = preparingBytes;
    if (privateBytes === undefined) return;
    const isMapped = mappedBytes >= LEAST_MEASURED_BYTES;
    const measured = isMapped ? furtherEngineBytes(privateBytes) : privateBytes;
    this.#isMoreThanEstimate = measured > this.#each;
    if (isMapped || this.#isMoreThanEstimate) this.#each = measured;
    // Packed weights are a copy, after which the pages of the file are free again.
    if (isMapped && (isCompiled || this.weights === 'mapped')) this.#files = Math.max(this.#files, mappedBytes);
  }

  /** Reserves memory for as many of the wanted engines as fit. @returns how many, at least 1. */
  reserveEngines(): number {
    const { limit } = this.#budget;
    const bodies = this.#isMoreThanEstimate ? this.#bodyBytes() : 0;
    const free = this.#budget.free() + this.#reservation.bytes - this.#shared() - bodies;
    const most = limit === undefined ? free : Math.min(free, limit - this.#spare - this.#shared());
    // A number that the operator has set takes the spare memory, too.
    const fitting = Math.floor((this.#processes === undefined ? most : free) / this.#each);
    this.#engines = Math.max(1, Math.min(this.wanted, fitting));
    this.#reservation.resize(this.#shared() + this.#engines * this.#each);
    return this.#engines;
  }

  /** Bytes that one engine process may take: those reserved for it, and its share of what neither models nor bodies take. */
  engineLimit(): number {
    const spare = (modelMemory(this.#capacity) ?? Number.POSITIVE_INFINITY) - this.#budget.used() - this.#bodyBytes();
    return this.#each + Math.max(0, spare) / (this.#engines * Math.max(1, this.#budget.models()));
  }

  #bodyBytes(): number {
    const { memoryBytes } = this.#capacity;
    return memoryBytes === undefined ? 0 : bodyMemory(memoryBytes);
  }

  /** See {@link Reservation.bytes}. */
  reservedBytes(): number {
    return this.#reservation.bytes;
  }

  /** See {@link Reservation.settle}. */
  settle(): void {
    this.#reservation.settle();
  }

  release(): void {
    this.#reservation.release();
  }
}

/** For how many engines the CPUs are enough. */
function countByCpu({ engine, modelCount }: EnginePlanOptions): number {
  return Math.max(1, Math.floor(cpuShare(engine.capacity, engine.intraOpThreads) / modelCount()));
}

/** The bytes of the first engine while it loads. What is mapped may be copied once: onnxruntime reorders the weights of convolutions. */
function firstEngineBytes({ bytes, mappableBytes = 0 }: ModelSize): number {
  return packedEngineBytes(mappableBytes, bytes - mappableBytes);
}

/** How many engines fit into a number of bytes if all that may be mapped is. */
function enginesIn(most: number, size: ModelSize, use: WeightUse): number {
  const { bytes, fileBytes, mappableBytes = bytes, preparingBytes = 0 } = size;
  const copied = bytes - mappableBytes;
  const left = most - preparingBytes;
  if (use === 'packed') return Math.floor((left - fileBytes) / packedEngineBytes(mappableBytes, copied));
  return Math.floor((left - Math.max(fileBytes, bytes)) / engineBytes(copied));
}

function chooseWeights(options: EnginePlanOptions, size: ModelSize): WeightUse {
  const { budget, engine } = options;
  const { weights = 'auto', processes = countByCpu(options) } = engine;
  if (weights !== 'auto') return weights;
  if (budget.limit === undefined) return 'packed';
  const [packed, mapped] = (['packed', 'mapped'] as const).map((use) =>
    Math.min(processes, Math.max(0, enginesIn(budget.limit!, size, use))),
  ) as [number, number];
  return mapped > 0 && mapped >= 2 * packed ? 'mapped' : 'packed';
}

/**
 * The least memory with which a model may load. An estimate must not refuse the only model of a server: under the machine's limit
 * alone, it may load if its file and its weights fit. Mapped weights are the file.
 */
function minimumBytes(options: EnginePlanOptions, size: ModelSize): number {
  const { budget, engine } = options;
  const { bytes, fileBytes, mappableBytes = bytes, preparingBytes = 0 } = size;
  const estimate = fileBytes + preparingBytes + firstEngineBytes(size);
  if (budget.strict || budget.limit === undefined || engine.capacity.memoryBytes === undefined) return estimate;
  if (budget.used() > 0) return estimate;
  const isMapped = chooseWeights(options, size) === 'mapped';
  const least = isMapped
    ? Math.max(fileBytes, mappableBytes) + engineBytes(bytes - mappableBytes) / 2
    : fileBytes + engineBytes(bytes) / 2;
  return Math.min(estimate, least);
}

/**
 * Checks a model against the operator's budget, for files whose size is known only when they are uncompressed.
 * @param bytes of the model and its weights
 * @param preparingBytes of the processes that prepare its inputs
 * @throws ServingError `MODEL_FAILED` if the operator's budget is too small for one engine.
 */
export function checkFitsBudget(
  { limit, strict }: MemoryBudget,
  name: string,
  bytes: number,
  preparingBytes = 0,
): void {
  const needed = engineBytes(bytes) + preparingBytes;
  if (!strict || limit === undefined || needed <= limit) return;
  const need = Math.ceil(needed / 2 ** 20);
  const has = Math.floor(limit / 2 ** 20);
  const message = `the model ${name} (${bytes} bytes) needs about ${need} MiB of memory, and MODEL_MEMORY_BUDGET leaves ${has} MiB`;
  throw new ServingError('MODEL_FAILED', message);
}
