import { constants, setPriority } from 'node:os';
import { attachEngine, type Engine } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import type { CompiledFiles, WeightState } from '../../engine/process/model-source.ts';
import type { LoadOrder } from '../../engine/process/session.ts';
import { spawnEngine } from '../../engine/process/spawn.ts';
import { findDifference } from '../../tensor/compare.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import type { CompiledModel } from './compiled-models.ts';

type Run = (inputs: readonly JoinedTensor[]) => Promise<Tensor[]>;

/** A model to compile. */
export interface CompileOrder {
  /** How engine processes load the model's own file. */
  readonly order: LoadOrder;
  /** Bytes of the model and its weights. */
  readonly bytes: number;
  /** The inputs of runs whose outputs are compared with those of the model's own file. */
  readonly runs: (signature: Signature) => readonly (readonly JoinedTensor[])[];
  /** Checks further rows. It throws if the outputs are wrong. */
  readonly check: (run: Run) => Promise<void>;
  readonly loadTimeoutMs?: number | undefined;
  readonly runTimeoutMs: number;
}

/** The largest difference of a float, relative to max(1, |expected|). The kernels are the same, so that there should be none. */
const TOLERANCE = 1e-5;

/**
 * Compiles a model in an engine process of its own, of the lowest priority, which then loads the result and compares.
 * @returns undefined where compiled models are not written
 * @throws RunError if onnxruntime refuses; Error if the result is wrong, or cannot be written
 */
export async function compileModel(
  model: Pick<CompiledModel, 'make'>,
  { order, bytes, runs, check, loadTimeoutMs, runTimeoutMs }: CompileOrder,
  signal: AbortSignal,
): Promise<CompiledFiles | undefined> {
  let engine: Engine | undefined;
  const kill = (): void => engine?.kill();
  signal.addEventListener('abort', kill);
  const run: Run = (one) => engine!.run(one, runTimeoutMs);
  let inputs: readonly (readonly JoinedTensor[])[] = [];
  const expected: Tensor[][] = [];

  async function load(use: WeightState['use'], more: Partial<LoadOrder>): Promise<Signature> {
    signal.throwIfAborted();
    const { weights, signature } = await engine!.load({ ...order, ...more }, loadTimeoutMs);
    if (weights.use !== use) throw new Error(`its weights are ${weights.use}: ${weights.why}`);
    return signature;
  }

  async function compile(target: LoadOrder['compileTo']): Promise<void> {
    engine = attachEngine(spawnEngine());
    yieldTo(engine);
    inputs = runs(await load('packed', { compileTo: target }));
    for (const one of inputs) expected.push(await run(one));
  }

  async function compare(files: CompiledFiles): Promise<void> {
    await load('compiled', { compiled: files });
    for (const [i, one] of inputs.entries()) {
      for (const [slot, output] of (await run(one)).entries()) {
        const difference = findDifference(expected[i]![slot]!, output, TOLERANCE);
        if (difference === undefined) continue;
        const { at, got, expected: wanted } = difference;
        throw new Error(`element ${at} of its output ${slot} is ${got} when compiled, and ${wanted} before`);
      }
    }
    await check(run);
  }

  try {
    return await model.make(bytes, compile, compare);
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await engine?.exited;
  }
}

/** Lets engines that serve go first. */
function yieldTo({ pid }: Engine): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended, which its load reports.
  }
}
