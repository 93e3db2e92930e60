import { OWN_BYTES } from '../../engine/capacity.ts';
import { privateBytes } from '../../engine/memory/private-bytes.ts';
import type { Pool } from '../../engine/pool.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import type { CompiledFiles } from '../../engine/process/model-source.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { FirstEngine } from '../engine-plan.ts';
import { type CompileOrder, compileModel } from './compile.ts';
import { type CompiledModel, LEAST_COMPILED_BYTES } from './compiled-models.ts';
import { NoFolderError } from './folder.ts';

/** What is compiled for a pool, and what follows. */
export interface Compilation extends CompileOrder {
  readonly model: CompiledModel;
  /** The first engine, which has the model's own file. */
  readonly first: FirstEngine;
  /** Called before engines load the files. */
  readonly onCompiled: (files: CompiledFiles) => void;
  /** Gets the first engine with compiled weights, and returns how many engines there may be now. */
  readonly countEngines: (first: FirstEngine) => number;
}

/** The engines of a pool beyond the first. */
export interface Growth {
  /** Starts engines up to this number. While the model is compiled, the process that does it takes the place of one. */
  grow(engines: number): void;
  /** Stops compiling. Settles when its process has exited. */
  stop(): Promise<void>;
}

/**
 * Grows a pool. If it gets two engines or more with copies of large weights, the model is compiled in the background, and the engines are
 * replaced by ones that share its weights.
 * @param runs the inputs of the warm-up runs of each engine
 * @param compilation undefined: the model is not to be compiled
 */
export function createGrowth(
  pool: Pool,
  runs: Parameters<Pool['grow']>[0],
  compilation: Compilation | undefined,
  name: string,
  logger: Logger,
): Growth {
  const abort = new AbortController();
  let compiling: Promise<void> | undefined;
  let isCompiling = false;
  let wanted = 0;

  function grow(engines: number): void {
    wanted = Math.min(engines, pool.engines().length);
    if (compilation !== undefined && compiling === undefined && pays(compilation, wanted)) {
      isCompiling = true;
      compiling = compile(compilation);
    }
    pool.grow(runs, isCompiling ? Math.max(1, wanted - 1) : wanted);
  }

  async function compile(what: Compilation): Promise<void> {
    const started = performance.now();
    const files = await compileModel(what.model, what, abort.signal).catch(report);
    isCompiling = false;
    if (abort.signal.aborted) return;
    if (files !== undefined) what.onCompiled(files);
    const packed = pool.engines().filter(({ state }) => state === 'idle' || state === 'busy');
    pool.grow(runs, wanted);
    if (files === undefined) return;
    const seconds = (performance.now() - started) / 1000;
    logger.info('the model is compiled: engine processes share its packed weights from now on', {
      model: name,
      seconds,
    });
    for (const { slot } of packed) {
      if (abort.signal.aborted) return;
      await pool.recycle(slot, 'its packed weights are shared now', true, 'compiled').catch(report);
    }
    const pid = pool.engines()[0]?.pid;
    const bytes = pid === undefined ? undefined : privateBytes(pid);
    grow(what.countEngines({ privateBytes: bytes, mappedBytes: what.first.mappedBytes, isCompiled: true }));
  }

  function report(error: unknown): undefined {
    if (abort.signal.aborted) return;
    const { message } = error as Error;
    // What onnxruntime cannot compile is no fault of this machine.
    const isRefused = error instanceof RunError && error.fault === 'failed' && !/write|open file/.test(message);
    const log = isRefused || error instanceof NoFolderError ? logger.debug : logger.warning;
    log(`the model is not compiled, and serves without: ${message}`, { model: name });
  }

  return {
    grow,
    async stop() {
      abort.abort();
      await compiling;
    },
  };
}

/** Whether several engines have copies of large weights. What is packed in the model's own file, or never packed, is shared already. */
function pays({ model, first }: Compilation, engines: number): boolean {
  const { mappedBytes, privateBytes = Number.POSITIVE_INFINITY } = first;
  return model.always || (engines >= 2 && Math.min(mappedBytes, privateBytes - OWN_BYTES) >= LEAST_COMPILED_BYTES);
}
