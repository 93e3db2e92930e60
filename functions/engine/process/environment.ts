/** Variables of the system and of the C library. */
const NAMES = new Set([
  ...['PATH', 'HOME', 'USERPROFILE', 'TMPDIR', 'TMP', 'TEMP', 'SYSTEMROOT', 'WINDIR', 'TZ'],
  ...['LANG', 'LANGUAGE', 'LOCPATH', 'GLIBC_TUNABLES', 'LD_LIBRARY_PATH', 'LD_PRELOAD', 'DYLD_LIBRARY_PATH'],
]);
/** Prefixes of variables of Node, of the memory allocator, of onnxruntime and of its execution providers. */
const PREFIXES = [
  'LC_',
  'NODE_',
  'MALLOC_',
  'ORT_',
  'OMP_',
  'GOMP_',
  'KMP_',
  'MKL_',
  'CUDA_',
  'CUDNN_',
  'CUBLAS_',
  'NVIDIA_',
];
/** Names of secrets, which may have those prefixes: npm's NODE_AUTH_TOKEN, NVIDIA_API_KEY. */
const SECRET = /(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)(_|$)/;

/**
 * The part of the server's environment that an engine process gets: what Node and onnxruntime need, without settings, tokens and
 * addresses, because an engine runs models that others made.
 */
export function engineEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isNeeded = (name: string): boolean =>
    NAMES.has(name) || (!SECRET.test(name) && PREFIXES.some((prefix) => name.startsWith(prefix)));
  // Windows ignores the case of names.
  return Object.fromEntries(Object.entries(env).filter(([name]) => isNeeded(name.toUpperCase())));
}
