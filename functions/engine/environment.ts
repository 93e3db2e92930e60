/** Of the system and of Node. */
const NAMES = new Set([
  ...['PATH', 'HOME', 'USERPROFILE', 'TMPDIR', 'TMP', 'TEMP', 'SYSTEMROOT', 'WINDIR', 'TZ'],
  ...['LANG', 'LANGUAGE', 'LOCPATH', 'GLIBC_TUNABLES', 'LD_LIBRARY_PATH', 'LD_PRELOAD', 'DYLD_LIBRARY_PATH'],
]);
/** Of Node, of the memory allocator, and of onnxruntime with what it runs on. */
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
/** Secrets that have these prefixes as well: npm's NODE_AUTH_TOKEN, NVIDIA_API_KEY. */
const SECRET = /(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)(_|$)/;

/**
 * The part of the server's environment that an engine process gets: what it needs, without settings, tokens and addresses, as it
 * runs models of other people.
 */
export function engineEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isNeeded = (name: string): boolean =>
    NAMES.has(name) || (!SECRET.test(name) && PREFIXES.some((prefix) => name.startsWith(prefix)));
  // Windows has names in any case.
  return Object.fromEntries(Object.entries(env).filter(([name]) => isNeeded(name.toUpperCase())));
}
