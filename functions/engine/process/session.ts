import { basename, posix } from 'node:path';
import { type Inspection, inspectModel } from '../../onnx/inspect.ts';
import { invalidModelError, type UnsupportedValue, unsupportedValueError } from '../../onnx/invalid-model.ts';
import type { Value } from '../../onnx/value-type.ts';
import { type DType, isDType, type Signature, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';
import type { Preparation } from '../prepared/preparation.ts';
import { checkStamps, type Stamps } from './file-stamp.ts';
import type { SlottedTensor } from './frame.ts';
import { loadError } from './load-errors.ts';
import { withLocale } from './locale.ts';
import {
  type CompiledFiles,
  type ModelSource,
  type PatchedOutput,
  readSource,
  type WeightChoice,
  type WeightState,
} from './model-source.ts';
import {
  createNativeSession,
  type NativeRuntimeSession,
  NativeTensor,
  type RuntimeOptions,
  type TensorValueMetadata,
  type ValueMetadata,
} from './runtime.ts';

/** A smaller initializer stays in the compiled graph, as one in the model's file is not mapped. */
const LEAST_DATA_BYTES = 4096;

interface SessionOptions {
  /** Threads for one operator. */
  readonly intraOpThreads: number;
  /** onnxruntime's names of the execution providers, in the order of preference: `['cpu']`, `['cuda', 'cpu']`. */
  readonly executionProviders: readonly string[];
  /** Default: packed. Execution providers other than the CPU copy the weights. */
  readonly weights?: WeightChoice;
  /** Loaded in place of packed weights. If it cannot be, the model's own file is, and `weights.why` of the session has the reason. */
  readonly compiled?: CompiledFiles | undefined;
  /** The paths at which onnxruntime writes the compiled model, in one folder, while it loads packed weights. */
  readonly compileTo?: { readonly graph: string; readonly data: string } | undefined;
}

/** The model that an engine process loads, and how. */
export interface LoadOrder extends SessionOptions {
  readonly path: string;
  /** How its inputs are made: the session takes what the preprocessor gives. Undefined: it takes tensors. */
  readonly preparation?: Preparation | undefined;
  /** Whether the engine analyzes the graph for row independence: only the first engine of a model does. */
  readonly findsRowIndependence?: boolean;
  /** The stamps that the file and its weights must have, by path. Set if others can write to the files. */
  readonly stamps?: Stamps | undefined;
}

/** One onnxruntime session. A run blocks the thread that calls it, so it lives in an engine process. */
export interface Session {
  readonly signature: Signature;
  readonly patched: readonly PatchedOutput[];
  /** Files with weights, by their paths relative to the model's folder. */
  readonly external: readonly string[];
  readonly weights: WeightState;
  /**
   * @param feeds a tensor for each input; `slot` is its index in the signature.
   * @returns a tensor for each output, in the order of the signature, of its dtype, with the dims of the run.
   * @throws Error with onnxruntime's reason if the run fails; or if an output has not the dtype that the model declares.
   */
  run(feeds: readonly SlottedTensor[]): Promise<SlottedTensor[]>;
}

/**
 * Loads the model at `path`, with its external data beside it. Outputs of ZipMaps, and sequences of tensors, become tensors.
 * @throws ServingError `MODEL_FAILED` with a message that begins with the path, for a file that is not a valid ONNX model, and for
 * inputs and outputs that are not tensors, or of a dtype that onnxruntime-node does not support
 * @throws Error if onnxruntime refuses the model: with what to do for a common reason, else with onnxruntime's text
 */
export async function openSession(path: string, options: SessionOptions): Promise<Session> {
  const inspection = inspectModel(path);
  if (inspection.outputs.length === 0) throw invalidModelError(path, 'it has no output: there is nothing to return');
  const { external } = inspection;
  const isCpu = options.executionProviders.every((provider) => provider === 'cpu');
  const choice = isCpu ? (options.weights ?? 'packed') : { copied: 'an execution provider has memory of its own' };
  let source = await readSource(path, inspection, choice);
  const compiled = await openCompiled(source, options);
  source = compiled.source;
  const session = await Promise.resolve(compiled.session ?? createSession(source, options))
    .catch(async (error: Error) => {
      if (source.weights.use === 'copied' || options.compileTo !== undefined) throw error;
      // The entire file opens, or fails with the better reason.
      source = await readSource(path, inspection, { copied: `onnxruntime does not map them: ${error.message}` });
      return createSession(source, options);
    })
    .catch((cause) => {
      // onnxruntime's own text for such a value contains neither its name nor its type.
      const unsupported = unsupportedInFile(inspection);
      throw unsupported.length > 0 ? unsupportedValueError(path, unsupported) : loadError(cause, { path, external });
    });
  const unsupported = [
    ...unsupportedIn(session.inputs, 'input', inspection.inputs),
    ...unsupportedIn(session.outputs, 'output', inspection.outputs),
  ];
  if (unsupported.length > 0) throw unsupportedValueError(path, unsupported);
  const inputs = session.inputs.map((meta) => ({ ...specOf(meta, inspection.inputs), ...namesOf(meta) }));
  const outputs = session.outputs.map((meta) => specOf(meta, inspection.outputs));

  async function run(feeds: readonly SlottedTensor[]): Promise<SlottedTensor[]> {
    // Without a prototype, because an input may be named __proto__.
    const named: Record<string, NativeTensor> = Object.create(null);
    for (const { slot, dtype, data, dims } of feeds) named[inputs[slot]!.name] = new NativeTensor(dtype, data, dims);
    const results = session.run(named);
    return outputs.map((spec, slot) => ({ slot, ...fromOrt(results[spec.name], spec) }));
  }
  return {
    signature: { inputs, outputs },
    patched: source.patched,
    external: external.map((location) => posix.normalize(location)),
    weights: source.weights,
    run,
  };
}

/** The session of the compiled model, if there is one that loads, and the source of the session. */
async function openCompiled(source: ModelSource, options: SessionOptions) {
  const { compiled } = options;
  if (compiled === undefined || source.weights.use !== 'packed') return { source };
  const { patched, folder, weights } = source;
  const own: ModelSource = { model: compiled.graph, folder, patched, weights: { ...weights, use: 'compiled' } };
  try {
    checkStamps(compiled.stamps);
    const session = await createSession(own, options);
    checkStamps(compiled.stamps);
    return { source: own, session };
  } catch (error) {
    const why = `the compiled model does not load: ${(error as Error).message}`;
    return { source: { ...source, weights: { ...weights, why } } };
  }
}

/** The inputs and outputs whose type, as the file has it, onnxruntime-node does not support; outputs that became tensors are not. */
function unsupportedInFile({ inputs, outputs }: Inspection): UnsupportedValue[] {
  const isSupported = ({ type, isTensor, element }: Value): boolean =>
    type === undefined || (isTensor && (element === undefined || isDType(element)));
  return [
    ...inputs.filter((value) => !isSupported(value)).map(({ name, type }) => ({ kind: 'input' as const, name, type })),
    ...outputs
      .filter((value) => value.isTensor && !isSupported(value))
      .map(({ name, type }) => ({ kind: 'output' as const, name, type })),
  ];
}

function unsupportedIn(
  metadata: readonly ValueMetadata[],
  kind: 'input' | 'output',
  values: readonly Value[],
): UnsupportedValue[] {
  return metadata
    .filter((meta) => !meta.isTensor || !isDType(meta.type))
    .map(({ name }) => ({ kind, name, type: values.find((value) => value.name === name)?.type }));
}

async function createSession(
  { model, folder, weights }: ModelSource,
  { intraOpThreads, executionProviders, compileTo }: SessionOptions,
): Promise<NativeRuntimeSession> {
  const options: RuntimeOptions = {
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    executionProviders: [...executionProviders],
    // 4: fatal errors only. The error of a run is thrown anyway, and its log line could contain values of a caller.
    logSeverityLevel: 4,
    // A compiled graph is optimised.
    ...(weights.use === 'compiled' && { graphOptimizationLevel: 'disabled' }),
    ...(compileTo !== undefined && { optimizedModelFilePath: compileTo.graph }),
    extra: {
      session: {
        ...(compileTo !== undefined && {
          optimized_model_external_initializers_file_name: basename(compileTo.data),
          optimized_model_external_initializers_min_size_in_bytes: String(LEAST_DATA_BYTES),
          save_external_prepacked_constant_initializers: '1',
        }),
        // A model given as bytes has no folder: onnxruntime finds its external data by this setting.
        ...(typeof model !== 'string' && { model_external_initializers_file_folder_path: folder }),
        ...(weights.use === 'mapped' && { disable_prepacking: '1' }),
      },
    },
  };
  const session = await withLocale(async () => createNativeSession(model, options));
  if (typeof model === 'string') return session;
  // onnxruntime has a copy now. Freed at once: an engine allocates so little that the garbage collector might never run.
  model.buffer.transfer(0);
  return session;
}

/** @param values of the file. They are needed because onnxruntime-node has an empty shape for rank 0 and for an open rank. */
function specOf(meta: ValueMetadata, values: readonly Value[]): TensorSpec {
  const { name, type, shape } = meta as TensorValueMetadata;
  const spec = { name, dtype: type as DType, shape: shape.map((dim) => (typeof dim === 'number' ? dim : -1)) };
  const isOpen = shape.length === 0 && !values.find((value) => value.name === name)?.hasShape;
  return isOpen ? { ...spec, anyRank: true } : spec;
}

function namesOf(meta: ValueMetadata): Pick<TensorSpec, 'dimNames'> {
  const dimNames = (meta.isTensor ? meta.shape : []).map((dim) => (typeof dim === 'string' && dim !== '' ? dim : null));
  return dimNames.every((name) => name === null) ? {} : { dimNames };
}

/** @throws Error if the output is missing, or has not the dtype that the model declares */
function fromOrt(tensor: NativeTensor | undefined, { name, dtype }: TensorSpec): Tensor {
  if (tensor?.type !== dtype) {
    throw new Error(`output ${name} is ${tensor?.type ?? 'missing'} in this run, but ${dtype} in the model`);
  }
  return { dtype: tensor.type as DType, dims: tensor.dims, data: tensor.data };
}
