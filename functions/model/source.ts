import type { Golden, Manifest } from './manifest.ts';

/** A model's files, in place on a local disk and ready to be loaded. */
export interface ModelFiles {
  readonly name: string;
  readonly version: string;
  /** The `.onnx` file. External data lies beside it. */
  readonly path: string;
  readonly bytes: number;
  readonly manifest: Manifest;
  readonly golden: Golden | undefined;
}

/** Where a model comes from. */
export interface ModelSource {
  /**
   * Brings the model's files to a local disk.
   * @throws ServingError `MODEL_FAILED` that names what is missing or wrong, and where.
   */
  fetch(): Promise<ModelFiles>;
}
