import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RowIndependence } from '../../batching/row-independence.ts';
import { attachEngine } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import type { WeightUse } from '../../engine/process/model-source.ts';
import { spawnEngine } from '../../engine/process/spawn.ts';
import { ServingError } from '../../errors.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';

/** A model in an engine process, as the server has it. */
export interface ModelProcess {
  readonly signature: Signature;
  /** Whether rows may share a run, according to the graph. */
  readonly graph: RowIndependence | undefined;
  /** Bytes of the model's file and of its external data. */
  readonly bytes: number;
  /**
   * @param inputs a tensor for each input, in the order of the signature
   * @returns a tensor for each output, in the order of the signature
   * @throws RunError
   */
  run(inputs: readonly JoinedTensor[]): Promise<Tensor[]>;
  /** Ends the process. */
  close(): void;
}

/** How a model is loaded. */
export interface ModelProcessOptions {
  /** Threads for one operator. Default: 1. */
  readonly threads?: number;
  /** Default: packed. */
  readonly weights?: WeightUse;
}

/** A run that takes longer has failed: the sample rows of a command are no long jobs. */
const RUN_TIMEOUT_MS = 600_000;

/**
 * Loads a model into a new engine process.
 * @throws ServingError `MODEL_FAILED` that begins with the path
 */
export async function openModelProcess(
  path: string,
  { threads = 1, weights = 'packed' }: ModelProcessOptions = {},
): Promise<ModelProcess> {
  const engine = attachEngine(spawnEngine());
  try {
    const loaded = await engine.load({
      path,
      intraOpThreads: threads,
      executionProviders: ['cpu'],
      weights,
      findsRowIndependence: true,
    });
    const files = [path, ...loaded.external.map((location) => join(dirname(path), location))];
    return {
      signature: loaded.signature,
      graph: loaded.rows,
      bytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
      run: (inputs) => engine.run(inputs, RUN_TIMEOUT_MS),
      close: engine.close,
    };
  } catch (cause) {
    engine.kill();
    const { message } = cause as Error;
    throw new ServingError('MODEL_FAILED', message.startsWith(path) ? message : `${path}: ${message}`, { cause });
  }
}
