import { dirname, posix, resolve } from 'node:path';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { type Inspection, inspectModel } from '../onnx/inspect.ts';
import { unreturnable } from '../onnx/refusal.ts';
import type { SlottedTensor } from './frame.ts';
import { loadRefusal } from './load-refusal.ts';
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
  /** Stamps of the file and its weights, by path, where they lie where others can write to them: any others are refused. */
  readonly stamps?: readonly (readonly [path: string, stamp: string])[] | undefined;
}

/** An output that was a ZipMap's sequence of maps, and is the tensor of its scores now: a column for each class. */
export interface PatchedOutput {
  readonly output: string;
  /** The classes, by column. */
  readonly labels: readonly string[];
  /** What they are to the model: an int64 label is here in decimal digits. */
  readonly of: 'string' | 'int64';
}

/** One onnxruntime session. A run blocks the thread that calls it, so it lives in an engine process. */
export interface Session {
  readonly signature: Signature;
  readonly patched: readonly PatchedOutput[];
  /** Files with weights, by their paths from the model's folder. */
  readonly external: readonly string[];
  /** @throws what onnxruntime says of these feeds. */
  run(feeds: readonly SlottedTensor[]): Promise<SlottedTensor[]>;
}

/** A setting of onnxruntime's session. */
const EXTERNAL_DATA_FOLDER = 'model_external_initializers_file_folder_path';

/**
 * Loads the model at `path`. External data lies beside it. Outputs of ZipMaps are made tensors.
 * @throws ServingError `MODEL_FAILED` that begins with the path for a file that is no sound ONNX model, and for outputs that
 * are no tensors
 * @throws Error with the reason where onnxruntime refuses it: in words for a common one, else in its own
 */
export async function openSession(path: string, options: SessionOptions): Promise<Session> {
  const ort = await loadRuntime();
  const inspection = inspectModel(path);
  const { external } = inspection;
  const { source, patched } = await sourceOf(path, inspection);
  const session = await createSession(ort, source, {
    intraOpNumThreads: options.intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    executionProviders: [...options.executionProviders],
    // 4: what is fatal. An error of a run is thrown as well, and its line would put a caller's values into the log.
    logSeverityLevel: 4,
    // Bytes lie in no folder: they are told the one that their external data is in.
    ...(source !== path && { extra: { session: { [EXTERNAL_DATA_FOLDER]: dirname(resolve(path)) } } }),
  }).catch((cause) => {
    throw loadRefusal(cause, external);
  });
  const inputs = session.inputMetadata.map((meta) => ({ ...specOf(meta), ...namesOf(meta) }));
  const others = session.outputMetadata.filter((meta) => !meta.isTensor);
  // The file may leave an output's type to onnxruntime to find out, which does not tell what it found.
  if (others.length > 0) throw unreturnable(path, others);
  const outputs = session.outputMetadata.map(specOf);
  const fetches = outputs.map((output) => output.name);

  async function run(feeds: readonly SlottedTensor[]): Promise<SlottedTensor[]> {
    const named: Record<string, OrtTensor> = {};
    for (const feed of feeds) named[inputs[feed.slot]!.name] = toOrt(ort.Tensor, feed);
    const results = await session.run(named, fetches);
    return fetches.map((name, slot) => ({ slot, ...fromOrt(results[name]!) }));
  }
  return {
    signature: { inputs, outputs },
    patched,
    external: external.map((location) => posix.normalize(location)),
    run,
  };
}

interface SessionSource {
  readonly source: string | Uint8Array<ArrayBuffer>;
  readonly patched: readonly PatchedOutput[];
}

/** The model as onnxruntime is to load it: the file as it is wherever that will do. */
async function sourceOf(path: string, inspection: Inspection): Promise<SessionSource> {
  if (inspection.nonTensorOutputs.length === 0) return { source: path, patched: [] };
  const { patchZipMaps } = await import('../onnx/zip-map.ts');
  const { bytes, patched } = patchZipMaps(path, inspection);
  return {
    source: bytes,
    patched: patched.map(({ output, labels: { kind, values } }) => ({
      output,
      labels: values,
      of: kind === 'strings' ? 'string' : 'int64',
    })),
  };
}

async function createSession(
  { InferenceSession }: typeof import('onnxruntime-node'),
  source: SessionSource['source'],
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  if (typeof source === 'string') return InferenceSession.create(source, options);
  const session = await InferenceSession.create(source, options);
  // onnxruntime has its own copy by now, and an engine makes so little garbage that ours could stay for good.
  source.buffer.transfer(0);
  return session;
}

function specOf(meta: InferenceSession.ValueMetadata): TensorSpec {
  if (!meta.isTensor) throw new Error(`input ${meta.name} is not a tensor: only tensors can be fed`);
  return {
    name: meta.name,
    dtype: meta.type as DType,
    shape: meta.shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
  };
}

function namesOf(meta: InferenceSession.ValueMetadata): Pick<TensorSpec, 'dimNames'> {
  const dimNames = (meta.isTensor ? meta.shape : []).map((dim) => (typeof dim === 'string' && dim !== '' ? dim : null));
  return dimNames.every((name) => name === null) ? {} : { dimNames };
}

type TensorConstructor = new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;

function toOrt(OrtTensorClass: unknown, { dtype, data, dims }: Tensor): OrtTensor {
  return new (OrtTensorClass as TensorConstructor)(dtype, data, dims);
}

function fromOrt(tensor: OrtTensor): Tensor {
  return { dtype: tensor.type as DType, dims: tensor.dims, data: tensor.data as Tensor['data'] };
}
