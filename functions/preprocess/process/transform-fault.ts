/** Why a row has no result. It travels as the JSON of a string; '' is none. */
export interface TransformFault {
  /** `input`: the caller has to change the body. `failure`: the code or what it returned is wrong. */
  readonly kind: 'input' | 'failure';
  /** For `input` the caller's, else the operator's. */
  readonly message: string;
  /** The place in the caller's input, for `input`. */
  readonly path?: string | undefined;
}

/** What the process tells once it has imported the file. */
export interface TransformExports {
  readonly preprocess: boolean;
  readonly postprocess: boolean;
}

/** What the process imports. */
export interface TransformOrder {
  /** Without links, as Node resolves it: imports are relative to it, and stacks have it. */
  readonly path: string;
  readonly stamps: readonly (readonly [path: string, stamp: string])[] | undefined;
  /** Of the engine processes. */
  readonly signature: object;
  /** The content of `model.json`. */
  readonly manifest: object;
}
