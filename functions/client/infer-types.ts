import type { AnyTensor, Datatype, Tensor } from './tensor.ts';

export type InferParameters = Readonly<Record<string, string | number | boolean>>;

/** All outputs; or those with these names; or those with these names and datatypes, which the answer is then held to. */
export type OutputChoice = readonly string[] | Readonly<Record<string, Datatype>> | undefined;

export interface InferRequest<O extends OutputChoice = undefined> {
  /** By name. Each holds the whole batch: `shape[0]` is the number of rows. */
  readonly inputs: Readonly<Record<string, AnyTensor>>;
  readonly outputs?: O;
  /**
   * By output, how many of the highest elements of each row are wanted in its place: BYTES `score:index`, or `score:index:label`,
   * the highest first. Without `outputs` these are all that come.
   */
  readonly classes?: Readonly<Record<string, number>> | undefined;
  /** Comes back in the answer. */
  readonly id?: string | undefined;
  readonly parameters?: InferParameters | undefined;
}

/** The outputs that a choice gives, by name. */
export type Outputs<O extends OutputChoice> = O extends readonly (infer Name extends string)[]
  ? { readonly [N in Name]: AnyTensor }
  : O extends Readonly<Record<string, Datatype>>
    ? { readonly [N in keyof O]: Tensor<O[N]> }
    : Readonly<Record<string, AnyTensor>>;

export interface InferResponse<O extends OutputChoice = undefined> {
  readonly modelName: string;
  /** Undefined where the server has no versions. */
  readonly modelVersion: string | undefined;
  readonly id: string | undefined;
  readonly parameters: InferParameters | undefined;
  readonly outputs: Outputs<O>;
}

/** An input or output of a model. -1 in `shape` is a dimension that the caller chooses. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype | (string & {});
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions?: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}
