/**
 * Packages outside the bundle: onnxruntime-node, crc32 and tokenizers have native parts, and Cloud Logging's client loads files of its package.
 */
export const CONTAINER_EXTERNALS = [
  'onnxruntime-node',
  '@node-rs/crc32',
  '@anush008/tokenizers',
  '@google-cloud/logging-winston',
];

/** Packages outside the bundle of the function: also the framework, which must be the instance that its command line runs. */
export const EXTERNALS = [...CONTAINER_EXTERNALS, '@google-cloud/functions-framework'];
