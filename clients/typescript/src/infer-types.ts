import type { AnyTensor, Datatype, Tensor } from './tensor.ts';

/** Parameters of the protocol, by name. */
export type InferParameters = Readonly<Record<string, string | number | boolean>>;

/** The requested outputs: all, those with these names, or those with these names and datatypes, which the response must have. */
export type OutputChoice = readonly string[] | Readonly<Record<string, Datatype>> | undefined;

/** A request of `infer`. */
export interface InferRequest<O extends OutputChoice = undefined> {
  /** By name. Each has the complete batch: `shape[0]` is the number of rows. */
  readonly inputs: Readonly<Record<string, AnyTensor>>;
  readonly outputs?: O;
  /**
   * By output, how many of the highest elements of each row are sent instead of it: BYTES `score:index`, or `score:index:label`, the
   * highest first. Without `outputs`, only these outputs are sent.
   */
  readonly classes?: Readonly<Record<string, number>> | undefined;
  /** Returned in the response. */
  readonly id?: string | undefined;
  readonly parameters?: InferParameters | undefined;
}

/** The outputs of a response, by name, for a choice. */
export type Outputs<O extends OutputChoice> = O extends readonly (infer Name extends string)[]
  ? { readonly [N in Name]: AnyTensor }
  : O extends Readonly<Record<string, Datatype>>
    ? { readonly [N in keyof O]: Tensor<O[N]> }
    : Readonly<Record<string, AnyTensor>>;

/** A response of `infer`. */
export interface InferResponse<O extends OutputChoice = undefined> {
  readonly modelName: string;
  /** Undefined if the server has no versions. */
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

/** The metadata of a model. */
export interface ModelMetadata {
  readonly name: string;
  readonly versions?: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** The metadata of a server. */
export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}
