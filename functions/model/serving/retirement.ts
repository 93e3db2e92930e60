import type { Logger } from '../../telemetry/log/logger.ts';
import type { PreparedGeneration } from './prepared-generation.ts';

/** The generations of a model that no longer serve, and are still in use. */
export class Retirement {
  readonly #model: string;
  readonly #logger: Logger;
  readonly #pending = new Set<Promise<void>>();

  /** @param model its name, for the log. */
  constructor(model: string, logger: Logger) {
    this.#model = model;
    this.#logger = logger;
  }

  /** Closes the generation when its usage count is 0. Settles then; never rejects. */
  retire(prepared: PreparedGeneration): Promise<void> {
    const retired = prepared
      .retire()
      // The generation that serves now is not affected.
      .catch((error: unknown) =>
        this.#logger.warning('a replaced version did not close cleanly', { model: this.#model, error }),
      )
      .finally(() => this.#pending.delete(retired));
    this.#pending.add(retired);
    return retired;
  }

  isPending(): boolean {
    return this.#pending.size > 0;
  }

  /** Settles when those that are retired so far have closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
