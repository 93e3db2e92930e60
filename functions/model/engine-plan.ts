import { type Capacity, cpuShare, engineBytes } from '../engine/capacity.ts';
import { ServingError } from '../errors.ts';
import type { MemoryBudget, Reservation } from './memory-budget.ts';

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
}

/** A model as far as its memory is concerned. */
export interface ModelSize {
  readonly name: string;
  /** Of the model and its weights. */
  readonly bytes: number;
  /** Those of them that lie in memory as files: Cloud Run, tmpfs. */
  readonly fileBytes: number;
}

/** The engine processes of one model, and the memory that is reserved for them. */
export class EnginePlan {
  /** Engine processes, where there is memory for all. */
  readonly wanted: number;
  readonly #each: number;
  readonly #fileBytes: number;
  readonly #budget: MemoryBudget;
  readonly #reservation: Reservation;

  /**
   * Reserves memory for the file and a first engine. Further engines take what is left.
   * @param background for an update: another generation serves meanwhile, and must keep its memory.
   * @throws ServingError `MODEL_FAILED` where it could never fit, or not beside the generation that serves; `NOT_READY` where
   * memory is short at present.
   */
  static async reserve(options: EnginePlanOptions, size: ModelSize, background: boolean): Promise<EnginePlan> {
    const { budget } = options;
    const { name, bytes, fileBytes } = size;
    const each = engineBytes(bytes);
    const described = `${name} (${bytes} bytes)`;
    if (!background) {
      const least = minimumBytes(options, fileBytes, each);
      return new EnginePlan(options, size, await budget.reserve(least, `the model ${described}`));
    }
    const reservation = await budget.reserveForUpdate(fileBytes + each);
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

  /** Reserves memory for as many of the wanted engines as fit. @returns how many, 1 at least. */
  reserveEngines(): number {
    const free = this.#budget.free() + this.#reservation.bytes - this.#fileBytes;
    const fitting = Math.max(1, Math.min(this.wanted, Math.floor(free / this.#each)));
    this.#reservation.resize(this.#fileBytes + fitting * this.#each);
    return fitting;
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
 * An estimate is no reason to refuse the one model of a server: where only the machine's limit stands against it, it is let
 * in as long as its file and its weights fit.
 */
function minimumBytes({ budget, engine }: EnginePlanOptions, fileBytes: number, each: number): number {
  const estimate = fileBytes + each;
  if (budget.strict || budget.limit === undefined || engine.capacity.memoryBytes === undefined) return estimate;
  return budget.used() === 0 ? Math.min(estimate, fileBytes + each / 2) : estimate;
}

/**
 * For files whose size is known only once they are uncompressed.
 * @throws ServingError `MODEL_FAILED` where the operator's budget is too small for one engine.
 */
export function checkFitsBudget({ limit, strict }: MemoryBudget, name: string, bytes: number): void {
  if (!strict || limit === undefined || engineBytes(bytes) <= limit) return;
  const need = Math.ceil(engineBytes(bytes) / 2 ** 20);
  const has = Math.floor(limit / 2 ** 20);
  const message = `the model ${name} (${bytes} bytes) needs about ${need} MiB of memory, and MODEL_MEMORY_BUDGET leaves ${has} MiB`;
  throw new ServingError('MODEL_FAILED', message);
}
