import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { SlottedTensor } from './frame.ts';
import type { DType, Signature, Tensor, TensorSpec } from './tensor.ts';

export interface SessionOptions {
  readonly intraOpThreads: number;
  /** onnxruntime's names, first choice first: `['cpu']`, `['cuda', 'cpu']`. */
  readonly executionProviders: readonly string[];
}

/**
 * Loads onnxruntime. Its binding reads a Float16Array as holding no bytes (microsoft/onnxruntime pull request 32323), and
 * takes and gives a Uint16Array of the same bits where the runtime has no such class: so here it has none.
 */
export async function loadRuntime(): Promise<typeof import('onnxruntime-node')> {
  Reflect.deleteProperty(globalThis, 'Float16Array');
  return (await import('onnxruntime-node')).default;
}

/** What an engine process is told to load. */
export interface LoadOrder extends SessionOptions {
  readonly path: string;
}

/** One onnxruntime session. A run blocks the thread that calls it, so it lives in an engine process. */
export interface Session {
  readonly signature: Signature;
  /** Outputs that are no tensors (a sequence, a map): onnxruntime-node cannot return them, so they are not asked for. */
  readonly skipped: readonly string[];
  /** @throws what onnxruntime says of these feeds. */
  run(feeds: readonly SlottedTensor[]): Promise<SlottedTensor[]>;
}

/**
 * Loads the model at `path` (a path, not bytes: external data lies beside the file).
 * @throws Error with onnxruntime's own text where it refuses the file.
 */
export async function openSession(path: string, options: SessionOptions): Promise<Session> {
  const ort = await loadRuntime();
  const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: options.intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    executionProviders: [...options.executionProviders],
    // 4: what is fatal. An error of a run is thrown as well, and its line would put a caller's values into the log.
    logSeverityLevel: 4,
  });
  const inputs = session.inputMetadata.map(specOf);
  const outputs = session.outputMetadata.filter((meta) => meta.isTensor).map(specOf);
  const skipped = session.outputMetadata.filter((meta) => !meta.isTensor).map((meta) => meta.name);
  if (outputs.length === 0) {
    throw new Error(
      `no output is a tensor: ${skipped.join(', ')}; export with tensor outputs (scikit-learn: zipmap=False)`,
    );
  }
  const fetches = outputs.map((output) => output.name);

  async function run(feeds: readonly SlottedTensor[]): Promise<SlottedTensor[]> {
    const named: Record<string, OrtTensor> = {};
    for (const feed of feeds) named[inputs[feed.slot]!.name] = toOrt(ort.Tensor, feed);
    const results = await session.run(named, fetches);
    return fetches.map((name, slot) => ({ slot, ...fromOrt(results[name]!) }));
  }
  return { signature: { inputs, outputs }, skipped, run };
}

function specOf(meta: InferenceSession.ValueMetadata): TensorSpec {
  if (!meta.isTensor) throw new Error(`input ${meta.name} is not a tensor: only tensors can be fed`);
  return {
    name: meta.name,
    dtype: meta.type as DType,
    shape: meta.shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
  };
}

type TensorConstructor = new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;

function toOrt(OrtTensorClass: unknown, { dtype, data, dims }: Tensor): OrtTensor {
  return new (OrtTensorClass as TensorConstructor)(dtype, data, dims);
}

function fromOrt(tensor: OrtTensor): Tensor {
  return { dtype: tensor.type as DType, dims: tensor.dims, data: tensor.data as Tensor['data'] };
}
