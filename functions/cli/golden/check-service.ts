import type { Golden } from '../../model/folder/manifest.ts';
import { findFault } from './compare-outputs.ts';
import { findGolden, readGolden } from './find-golden.ts';
import { createService, type ReadyService, type Service } from './service.ts';

/** How a server is checked. */
export interface CheckOptions {
  /** The address of the server. */
  readonly url: string;
  /** One of several models. Default: the model behind `/predict`. */
  readonly model?: string | undefined;
  /** A golden.json, or a folder of models: then the rows are those of the model that the server has. */
  readonly golden: string;
  /** The longest wait until the server is ready. */
  readonly waitSeconds: number;
  /** Gets the bearer token of the requests. Default: none. */
  readonly token?: (() => Promise<string | undefined>) | undefined;
  readonly signal: AbortSignal;
}

/** The check of a row. */
export interface RowCheck {
  /** The place of the row in golden.json; undefined for the example of a model without one. */
  readonly row: number | undefined;
  readonly passed: boolean;
  /** The names of the outputs that were compared; of a row that failed, why. */
  readonly said: string;
}

/** Receives the steps of a check. */
export interface CheckListener {
  /** The token is there, and the server may not be ready yet. */
  waiting?(): void;
  /**
   * The server is ready, and gets the rows now.
   * @param golden undefined if the model has no golden rows: the server's own example is the row
   */
  ready?(service: ReadyService, golden: Golden | undefined): void;
  checked(check: RowCheck): void;
}

/**
 * Waits until a server is ready, sends it golden rows, and compares the responses. A model without golden rows gets its own example,
 * which only has to be predicted.
 * @returns whether all rows passed
 * @throws ServingError if the golden rows cannot be read, or the server is not ready in time
 */
export async function checkService(options: CheckOptions, listener: CheckListener): Promise<boolean> {
  const { url, model, golden: path, waitSeconds, signal } = options;
  // Read before anything is sent: a mistake in it is reported at once.
  const given = readGolden(path);
  const service = createService({ url, model, token: await options.token?.(), signal });
  listener.waiting?.();
  const ready = await service.waitUntilReady(waitSeconds, given?.rows[0]?.features);
  const golden = given ?? findGolden(path, ready.model);
  listener.ready?.(ready, golden);
  const checks = golden === undefined ? [checkExample(service)] : checkRows(service, golden);
  let passed = true;
  for await (const check of checks) {
    signal.throwIfAborted();
    listener.checked(check);
    passed &&= check.passed;
  }
  return passed;
}

async function* checkRows(service: Service, { rows, tolerance }: Golden): AsyncGenerator<RowCheck> {
  for (const [i, row] of rows.entries()) {
    yield await passes(i, async () => {
      const fault = findFault(row, await service.predict(row.features), tolerance);
      return { fault, outputs: Object.keys(row.outputs) };
    });
  }
}

function checkExample(service: Service): Promise<RowCheck> {
  return passes(undefined, async () => {
    const outputs = await service.predict(await service.example());
    return { fault: undefined, outputs: Object.keys(outputs) };
  });
}

async function passes(
  row: number | undefined,
  run: () => Promise<{ fault: string | undefined; outputs: readonly string[] }>,
): Promise<RowCheck> {
  try {
    const { fault, outputs } = await run();
    return { row, passed: fault === undefined, said: fault ?? outputs.join(', ') };
  } catch (error) {
    return { row, passed: false, said: (error as Error).message };
  }
}
