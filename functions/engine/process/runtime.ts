import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { TensorData } from '../../tensor/tensor.ts';

export type RuntimeOptions = InferenceSession.SessionOptions;
export type ValueMetadata = InferenceSession.ValueMetadata;
export type TensorValueMetadata = InferenceSession.TensorValueMetadata;

/**
 * onnxruntime's native part, as `dist/binding.js` and `dist/backend.js` of onnxruntime-node 1.30 use it. The engine calls it itself:
 * the library's own code takes 15 ms of a start, and lets each run wait for the next turn of the event loop.
 */
interface Binding {
  readonly InferenceSession: new () => NativeSession;
  /** Creates onnxruntime's environment. @param logLevel 4: fatal errors only */
  initOrtOnce(logLevel: number, tensor: typeof NativeTensor, isMainThread: boolean): void;
}

interface NativeSession {
  loadModel(path: string, options: RuntimeOptions): void;
  loadModel(model: ArrayBuffer, offset: number, length: number, options: RuntimeOptions): void;
  readonly inputMetadata: readonly NativeValue[];
  readonly outputMetadata: readonly NativeValue[];
  /** @param fetches the names of the outputs; null: onnxruntime allocates them */
  run(
    feeds: Record<string, NativeTensor>,
    fetches: Record<string, null>,
    options: object,
  ): Record<string, NativeTensor>;
}

interface NativeValue {
  readonly name: string;
  readonly isTensor: boolean;
  /** The number of the element type: ONNX's TensorProto.DataType. */
  readonly type: number;
  /** -1: any size. */
  readonly shape: readonly number[];
  readonly symbolicDimensions: readonly string[];
}

/** A tensor as the native part reads and makes it. */
export class NativeTensor {
  readonly location = 'cpu';
  readonly type: string;
  readonly data: TensorData;
  readonly dims: readonly number[];
  constructor(type: string, data: TensorData, dims: readonly number[]) {
    this.type = type;
    this.data = data;
    this.dims = dims;
  }
}

/** The dtypes, by the numbers of ONNX's TensorProto.DataType. */
const TYPES: readonly (string | undefined)[] = [
  ...[undefined, 'float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool', 'float16'],
  ...['float64', 'uint32', 'uint64'],
];

/** A session of onnxruntime. */
export interface NativeRuntimeSession {
  readonly inputs: readonly ValueMetadata[];
  readonly outputs: readonly ValueMetadata[];
  /** Blocks until the run has ended. @throws Error with onnxruntime's text */
  run(feeds: Record<string, NativeTensor>): Record<string, NativeTensor>;
}

let binding: Binding | undefined;

/** The folder of onnxruntime's native files. */
const NATIVE = `onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}`;

/** onnxruntime and its binding, without the libraries of other execution providers, which an image may lack. */
const LIBRARY = /^(lib)?onnxruntime(_binding)?\./;

/** The version of onnxruntime-node, and the sizes of its native files. Nothing is loaded. */
export function describeRuntime(): string {
  const require = createRequire(import.meta.url);
  const { version } = require('onnxruntime-node/package.json') as { version: string };
  const folder = dirname(require.resolve(`${NATIVE}/onnxruntime_binding.node`));
  const names = readdirSync(folder).filter((name) => LIBRARY.test(name));
  const sizes = names.map((name) => `${name} ${statSync(join(folder, name)).size}`);
  return `onnxruntime-node ${version} (${sizes.sort().join(', ')})`;
}

/**
 * Loads onnxruntime, and creates its environment, which takes 15 ms. Removes the global class Float16Array: onnxruntime's binding reads
 * a Float16Array as empty (microsoft/onnxruntime pull request 32323). If the class does not exist, it takes and returns a Uint16Array
 * of the same bits.
 */
export function loadRuntime(): Binding {
  if (binding !== undefined) return binding;
  Reflect.deleteProperty(globalThis, 'Float16Array');
  binding = createRequire(import.meta.url)(`${NATIVE}/onnxruntime_binding.node`) as Binding;
  binding.initOrtOnce(4, NativeTensor, true);
  return binding;
}

/**
 * Creates a session.
 * @param model the path of a file, or its bytes
 * @throws Error with onnxruntime's text
 */
export function createNativeSession(
  model: string | Uint8Array<ArrayBuffer>,
  options: RuntimeOptions,
): NativeRuntimeSession {
  const session = new (loadRuntime().InferenceSession)();
  if (typeof model === 'string') session.loadModel(model, options);
  else session.loadModel(model.buffer, model.byteOffset, model.byteLength, options);
  const outputs = session.outputMetadata.map(metadataOf);
  const fetches = Object.create(null) as Record<string, null>;
  for (const { name } of outputs) fetches[name] = null;
  return {
    inputs: session.inputMetadata.map(metadataOf),
    outputs,
    run: (feeds) => session.run(feeds, fetches, {}),
  };
}

function metadataOf({ name, isTensor, type, shape, symbolicDimensions }: NativeValue): ValueMetadata {
  if (!isTensor) return { name, isTensor };
  const dtype = TYPES[type];
  if (dtype === undefined) throw new Error(`Unsupported data type: ${type}`);
  const dims = shape.map((dim, i) => (dim === -1 ? symbolicDimensions[i]! : dim));
  return { name, isTensor, type: dtype as TensorValueMetadata['type'], shape: dims };
}
