/** `onnx-cloud-run/transform`: the types of a model's `transform.ts`. It has no imports, because its declarations are published. */

/** The element types of tensors. */
export type DType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string';

/** The elements of a tensor, row-major. `bool` is one byte of 0 or 1; `float16` is a Float32Array. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | string[];

/** A dense, row-major tensor. The product of `dims` is `data.length`. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** An input or an output of the model. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  /** A `-1` is a dimension without a fixed size; the first is that of the rows. */
  readonly shape: readonly number[];
}

/** The inputs and outputs of the model, in its order. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** What both functions get beside their values. */
export interface Context {
  readonly signature: Signature;
  /** The content of `model.json`; empty if there is none. */
  readonly manifest: Readonly<Record<string, unknown>>;
}

/** Values as nested arrays. */
export type Nested = number | bigint | boolean | string | TensorData | readonly Nested[];

/** The value of one input for one row: nested arrays, or a tensor. Its dims may be with or without the leading 1. */
export type Feed =
  | Nested
  | {
      /** The elements, row-major. */
      readonly data: TensorData | readonly (number | bigint | boolean | string)[];
      /** Default: the input's, if they have at most one open dimension. */
      readonly dims?: readonly number[];
      /** Checked, if it is given: the input's. */
      readonly dtype?: DType;
    };

/** A value for each input of the model, by its name. */
export type Feeds = Readonly<Record<string, Feed>>;

/**
 * Makes the model's inputs for one row.
 * @param body what the caller sent as `features`: any JSON. Integers beyond ±(2^53 - 1) are bigints.
 * @throws InvalidInput for a body that the caller has to change; any other error is a fault of the model
 */
// biome-ignore lint/suspicious/noExplicitAny: a body is what the author expects and checks
export type Preprocess<Body = any> = (body: Body, context: Context) => Feeds | Promise<Feeds>;

/**
 * Makes the answer for one row.
 * @param outputs of the model for the row, by name, with the dims that the model gives
 * @returns any JSON; typed arrays become arrays, and bigints integers
 * @throws as {@link Preprocess} does
 */
// biome-ignore lint/suspicious/noExplicitAny: as of `Preprocess`
export type Postprocess<Body = any> = (
  outputs: Readonly<Record<string, Tensor>>,
  /** `body` is that of `preprocess`; undefined if there is no `preprocess`. */
  context: Context & { readonly body?: Body },
) => unknown;

/** The caller gets a 400 with this message. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
  /** The place of the fault in the caller's input: `features.age`. */
  readonly path: string | undefined;
  constructor(message: string, path?: string) {
    super(message);
    this.path = path;
  }
}
