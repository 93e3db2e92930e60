import { measureCapacity } from '../../engine/capacity.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import { ServingError } from '../../errors.ts';
import type { ModelFiles } from '../../model/folder/files.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { loadGeneration } from '../../model/serving/load-generation.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import { createMetrics } from '../../telemetry/metrics/metrics.ts';

/** What the server finds when it loads a model. */
export interface Served extends Pick<Generation, 'signature' | 'batching' | 'labelled' | 'manifest'> {
  /** The rows of golden.json, then the example of model.json; none if they are texts or pictures. */
  readonly known: readonly RowFeeds[];
}

/** The server's defaults: docs/operate/settings.md. */
const DEFAULTS = { maxBatchSize: 64, batchDelayMs: 0, maxQueueSize: 8192, runTimeoutMs: 60_000 };
const nothing = (): void => {};
const SILENT: Logger = {
  debug: nothing,
  info: nothing,
  warning: nothing,
  error: nothing,
  critical: nothing,
  request: nothing,
  levels: () => new Set(),
  setLevels: nothing,
  dropped: () => 0,
  flush: async () => {},
};

/**
 * Loads a model as the server does, in one engine process: it checks model.json and the rows of golden.json, decides whether rows may
 * share runs, and warms up.
 * @throws ServingError `MODEL_FAILED` with the server's reason, without the place
 */
export async function tryModel(files: ModelFiles, intraOpThreads: number, signal: AbortSignal): Promise<Served> {
  const metrics = createMetrics();
  const engine = {
    ...DEFAULTS,
    capacity: measureCapacity(),
    processes: 1,
    intraOpThreads,
    executionProviders: ['cpu'],
  };
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const loading = loadGeneration(files, engine, { logger: SILENT, metrics }, nothing);
  // Of the two, the one that is late has no listener.
  for (const promise of [interrupted, loading]) promise.catch(nothing);
  try {
    const generation = await Promise.race([loading, interrupted]);
    await generation.close();
    const { signature, batching, labelled, rows, manifest } = generation;
    if (files.preparation !== undefined) return { signature, batching, labelled, manifest, known: [] };
    const given = [...(files.golden?.rows ?? []), ...(manifest.example === undefined ? [] : [manifest.example])];
    const known = given.map(({ features }) => rows.decode(features, 'features'));
    return { signature, batching, labelled, manifest, known };
  } catch (error) {
    if (error instanceof RunError) throw new ServingError('MODEL_FAILED', error.message, { cause: error });
    if (!(error instanceof ServingError)) throw error;
    throw new ServingError('MODEL_FAILED', withoutPlace(error.message, files), { cause: error });
  } finally {
    metrics.close();
  }
}

function withoutPlace(message: string, { place, path }: ModelFiles): string {
  for (const one of [place, path]) if (message.startsWith(`${one}: `)) return message.slice(one.length + 2);
  return message;
}
