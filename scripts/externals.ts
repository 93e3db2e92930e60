/**
 * Packages that stay outside the bundle: onnxruntime-node and crc32 have native parts beside them, Cloud Logging's client
 * loads files of its own.
 */
export const CONTAINER_EXTERNALS = ['onnxruntime-node', '@node-rs/crc32', '@google-cloud/logging-winston'];

/** And for the function: the framework must be the one that its command line runs. */
export const EXTERNALS = [...CONTAINER_EXTERNALS, '@google-cloud/functions-framework'];
