import { type Capacity, cpuShare, engineBytes } from '../engine/capacity.ts';
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
  };
  /** Models that share the CPUs with this one. */
  readonly modelCount: () => number;
  /** Keep memory for one more model: an update, or another model, may need it. */
  readonly keepsSpareMemory: () => boolean;
  /** In how many of the last ten seconds requests used the model: see {@link MemoryBudget.reserve}. Default: infinite. */
  readonly usedSeconds?: () => number;
}

/** The memory that a model needs. */
interface ModelSize {
  readonly name: string;
  /** Of the model and its weights. */
  readonly bytes: number;
  /** Those of them that take memory as files, as on Cloud Run and tmpfs; else 0. */
  readonly fileBytes: number;
}

/** The engine processes of one model, and the memory that is reserved for them. */
export class EnginePlan {
  /** How many engine processes the model gets if there is memory for all. */
  readonly wanted: number;
  readonly #each: number;
  readonly #fileBytes: number;
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
    const { name, bytes, fileBytes } = size;
    const each = engineBytes(bytes);
    const described = `${name} (${bytes} bytes)`;
    if (!background) {
      const least = minimumBytes(options, fileBytes, each);
      return new EnginePlan(options, size, await budget.reserve(least, `the model ${described}`, usedSeconds));
    }
    const reservation = await budget.reserveForUpdate(fileBytes + each, usedSeconds);
    if (reservation !== undefined) return new EnginePlan(options, size, reservation);
    const message = `there is no room for a new version of ${described} beside the one that serves: raise the memory limit, or mount the bucket`;
    throw new ServingError('MODEL_FAILED', message);
  }

  private constructor(options: EnginePlanOptions, { bytes, fileBytes }: ModelSize, reservation: Reservation) {
    const { budget, engine, modelCount, keepsSpareMemory } = options;
    const each = engineBytes(bytes);
    const byCpu = Math.max(1, Math.floor(cpuShare(engine.capacity, engine.intraOpThreads) / modelCount()));
    const spare = keepsSpareMemory() ? fileBytes + each : 0;
    const byMemory = budget.limit === undefined ? byCpu : Math.floor((budget.limit - fileBytes - spare) / each);
    this.wanted = engine.processes ?? Math.max(1, Math.min(byCpu, byMemory));
    this.#each = each;
    this.#fileBytes = fileBytes;
    this.#budget = budget;
    this.#reservation = reservation;
  }

  /** Reserves memory for as many of the wanted engines as fit. @returns how many, at least 1. */
  reserveEngines(): number {
    const free = this.#budget.free() + this.#reservation.bytes - this.#fileBytes;
    const fitting = Math.max(1, Math.min(this.wanted, Math.floor(free / this.#each)));
    this.#reservation.resize(this.#fileBytes + fitting * this.#each);
    return fitting;
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

/**
 * The least memory with which a model may load. An estimate must not refuse the only model of a server: under the machine's limit
 * alone, it may load if its file and its weights fit.
 */
function minimumBytes({ budget, engine }: EnginePlanOptions, fileBytes: number, each: number): number {
  const estimate = fileBytes + each;
  if (budget.strict || budget.limit === undefined || engine.capacity.memoryBytes === undefined) return estimate;
  return budget.used() === 0 ? Math.min(estimate, fileBytes + each / 2) : estimate;
}

/**
 * Checks a model against the operator's budget, for files whose size is known only when they are uncompressed.
 * @param bytes of the model and its weights
 * @throws ServingError `MODEL_FAILED` if the operator's budget is too small for one engine.
 */
export function checkFitsBudget({ limit, strict }: MemoryBudget, name: string, bytes: number): void {
  if (!strict || limit === undefined || engineBytes(bytes) <= limit) return;
  const need = Math.ceil(engineBytes(bytes) / 2 ** 20);
  const has = Math.floor(limit / 2 ** 20);
  const message = `the model ${name} (${bytes} bytes) needs about ${need} MiB of memory, and MODEL_MEMORY_BUDGET leaves ${has} MiB`;
  throw new ServingError('MODEL_FAILED', message);
}
