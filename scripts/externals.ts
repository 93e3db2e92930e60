/** The packages that only models of pictures need. A server without them refuses to load such a model. */
export const PICTURE_EXTERNALS = ['sharp'];

/**
 * Packages outside the bundle: onnxruntime-node, crc32, the tokenizers and sharp have native parts, and Cloud Logging's client loads
 * files of its package.
 */
export const CONTAINER_EXTERNALS = [
  'onnxruntime-node',
  '@node-rs/crc32',
  '@google-cloud/logging-winston',
  '@anush008/tokenizers',
  ...PICTURE_EXTERNALS,
];

/** Packages outside the bundle of the function: also the framework, which must be the instance that its command line runs. */
export const EXTERNALS = [...CONTAINER_EXTERNALS, '@google-cloud/functions-framework'];
