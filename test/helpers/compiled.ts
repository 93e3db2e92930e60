/** Models that are compiled, as the server does it. */

import { joinRows } from '../../functions/engine/batch-rows.ts';
import type { CompiledFiles } from '../../functions/engine/process/model-source.ts';
import type { LoadOrder } from '../../functions/engine/process/session.ts';
import { compileModel } from '../../functions/model/compiled/compile.ts';
import type { CompiledModel } from '../../functions/model/compiled/compiled-models.ts';
import { syntheticRow } from '../../functions/model/serving/batching-decision.ts';

/** Long enough for a busy machine. */
const TIMEOUT_MS = 60_000;

export const orderFor = (path: string): LoadOrder => ({
  path,
  intraOpThreads: 1,
  executionProviders: ['cpu'],
  weights: 'packed',
});

/** Compiles the model at `path`, and compares a synthetic row. @param bytes that the model is said to have */
export function compileAt(
  path: string,
  model: Pick<CompiledModel, 'make'>,
  bytes = 1000,
  signal = new AbortController().signal,
): Promise<CompiledFiles | undefined> {
  const order = {
    ...{ order: orderFor(path), bytes, runTimeoutMs: TIMEOUT_MS, loadTimeoutMs: TIMEOUT_MS },
    runs: (signature: Parameters<typeof syntheticRow>[0]) => [
      joinRows([{ feeds: syntheticRow(signature, undefined, 0), first: 0, rows: 1 }]),
    ],
    check: async () => {},
  };
  return compileModel(model, order, signal);
}
