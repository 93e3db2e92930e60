import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachEngine, type Loaded } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import type { LoadOrder } from '../../engine/process/session.ts';
import { spawnEngine } from '../../engine/process/spawn.ts';
import { ServingError } from '../../errors.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type ProcessMemory, readMemory } from './memory.ts';

/** What an engine process loads, and how. */
export interface EngineOrder {
  /** The `.onnx` file. */
  readonly path: string;
  /** Threads for one operator. Default: 1, as the server's. */
  readonly threads?: number | undefined;
  /** How it has the weights. Default: packed. */
  readonly weights?: LoadOrder['weights'];
  /** Aborted: the process is killed, and what waits for it rejects. */
  readonly signal?: AbortSignal | undefined;
}

/** An engine process of the server's own, with a model, that is measured. Close it, however the work ends. */
export interface MeasuredEngine {
  readonly loaded: Loaded;
  /** Milliseconds from the start of the process until onnxruntime is loaded and can load a model. */
  readonly startMs: number;
  /** Milliseconds that the load of the model took: reading the file and creating the session. */
  readonly loadMs: number;
  /** The memory of the process before it loaded the model; undefined if this system does not have it. */
  readonly before: ProcessMemory | undefined;
  /** The memory of the process at present. */
  memory(): ProcessMemory | undefined;
  /**
   * Runs the model once.
   * @param inputs a tensor for each input, in the order of the signature: see `joinRows`
   * @param timeoutMs default: a minute. The process is killed then.
   * @returns a tensor for each output, in the order of the signature
   * @throws RunError
   */
  run(inputs: readonly JoinedTensor[], timeoutMs?: number): Promise<Tensor[]>;
  close(): Promise<void>;
}

const RUN_TIMEOUT_MS = 60_000;

/**
 * A model of one Identity, `y` = `x`, float32 [N, 4]: an engine that has loaded it has loaded onnxruntime and created a session, and
 * nothing of its memory is that of the model.
 */
const SMALLEST_MODEL =
  'CAgSDm9ubngtY2xvdWQtcnVuOkgKEAoBeBIBeSIISWRlbnRpdHkSCGlkZW50aXR5WhQKAXgSDwoNCAESCQoDEgFOCgIIBGIUCgF5Eg8KDQgBEgkKAxIBTgoCCARCBAoAEBE=';

/**
 * Starts an engine process and loads a model in it.
 * @throws ServingError `MODEL_FAILED` with the reason if it does not load, which is the server's own; or with how the process ended
 */
export async function openEngine({
  path,
  threads = 1,
  weights = 'packed',
  signal,
}: EngineOrder): Promise<MeasuredEngine> {
  signal?.throwIfAborted();
  const started = performance.now();
  const engine = attachEngine(spawnEngine());
  const kill = (): void => engine.kill();
  signal?.addEventListener('abort', kill, { once: true });
  const order = { intraOpThreads: threads, executionProviders: ['cpu'], weights };
  async function close(): Promise<void> {
    signal?.removeEventListener('abort', kill);
    engine.kill();
    await engine.exited;
  }
  const memory = (): ProcessMemory | undefined => (engine.pid === undefined ? undefined : readMemory(engine.pid));
  try {
    await withSmallestModel((smallest) => engine.load({ ...order, path: smallest }));
    const ready = performance.now();
    const before = memory();
    const loaded = await engine.load({ ...order, path });
    const loadMs = performance.now() - ready;
    return {
      loaded,
      startMs: ready - started,
      loadMs,
      before,
      memory,
      run: (inputs, timeoutMs = RUN_TIMEOUT_MS) => engine.run(inputs, timeoutMs),
      close,
    };
  } catch (cause) {
    await close();
    signal?.throwIfAborted();
    const { message } = cause as Error;
    throw new ServingError('MODEL_FAILED', message.startsWith(`${path}: `) ? message : `${path}: ${message}`, {
      cause,
    });
  }
}

async function withSmallestModel(load: (path: string) => Promise<unknown>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'onnx-cloud-run-measure-'));
  try {
    const path = join(folder, 'smallest.onnx');
    writeFileSync(path, Buffer.from(SMALLEST_MODEL, 'base64'));
    await load(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
