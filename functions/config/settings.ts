import { AUTH_SETTINGS, findAuthFault } from './auth.ts';
import {
  fileBelow,
  holdsPublicKeys,
  holdsText,
  host,
  id,
  integer,
  isModelUri,
  isWithoutFiles,
  matching,
  modelOfRoute,
  names,
  oneOf,
  optional,
  origins,
  parsed,
  path,
  type Setting,
  secret,
  setting,
  text,
} from './schema.ts';

const DAY_MS = 86_400_000;

/** Every setting, in the order of docs/operate/settings.md: the server, the model, its runs, the log, and what platforms set. */
export const SETTINGS = {
  PORT: setting('8080', integer(0, 65_535), 'a port, 0 to 65535 (0: any free one)', 'Port to listen on.'),
  HOST: setting(
    '127.0.0.1',
    host,
    'an address, a host name, or * for all addresses',
    'Address to listen on; `*`: all. If it is not set, all on Cloud Run and Vertex AI. The image sets `*`.',
  ),
  ADMIN_PORT: setting(
    '',
    optional(integer(0, 65_535)),
    'a port, 0 to 65535 (0: any free one)',
    'A second port: `/metrics`, log and trace settings and the routes that need the admin token are served there alone, probes on both.',
  ),
  ADMIN_HOST: setting(
    '',
    optional(host),
    'an address, a host name, or * for all addresses',
    'Address of `ADMIN_PORT`. Unset: that of `HOST`.',
  ),
  TLS_CERT_FILE: setting(
    '',
    optional(text),
    'the path of a file',
    'File with the certificate chain in PEM, for HTTPS on both ports; needs `TLS_KEY_FILE`. It is read again when it changes. Not for Cloud Run.',
  ),
  TLS_KEY_FILE: setting(
    '',
    optional(text),
    'the path of a file',
    'File with the private key of the certificate in PEM.',
  ),
  TLS_CLIENT_CA_FILE: setting(
    '',
    optional(text),
    'the path of a file',
    'File with authorities in PEM: `PORT` accepts only clients with a certificate of one of them. Needs `ADMIN_PORT`, which requires none, for probes.',
  ),
  MAX_CONNECTIONS: setting(
    '',
    optional(integer(1, 1_000_000)),
    'a number, 1 to 1000000',
    'Most open connections of `PORT`. Beyond it the newest without a request in flight is closed. Unset, and at most: what file descriptors and memory allow.',
  ),
  CORS_ORIGINS: setting(
    '',
    optional(origins),
    'origins such as https://app.example.com, separated by commas, or *',
    'Origins whose pages may call the server from a browser; `*`: all. Unset: none.',
  ),
  MAX_BODY_BYTES: setting(
    String(31 * 2 ** 20),
    integer(1, 2 ** 30),
    'bytes, 1 to 1073741824',
    "Largest buffered body, and largest NDJSON line. Below Cloud Run's limit of 32 MiB, so that this server sends the 413.",
  ),
  REQUEST_TIMEOUT_MS: setting(
    '60000',
    integer(1, DAY_MS),
    'milliseconds, 1 to 86400000',
    'A request without a response after this time gets 504. A stream in which neither a row nor 16 KiB of one is sent for this time, or nothing is read, is ended, and so is the connection of a client that does not read its response.',
  ),
  SHUTDOWN_GRACE_MS: setting(
    '8000',
    integer(0, DAY_MS),
    'milliseconds, 0 to 86400000',
    'Longest duration of a shutdown. Cloud Run kills the process 10 s after SIGTERM.',
  ),
  MODEL_URI: setting(
    'models',
    matching(isModelUri),
    'a path, file://… or gs://bucket/…',
    "One `.onnx` file, one model's folder (`[<version>/]model.onnx` in it), or a repository: `<name>/[<version>/]model.onnx`. A path, or the same under `gs://bucket/`.",
  ),
  DEFAULT_MODEL_FOLDER: setting(
    '',
    optional(text),
    'the path of a folder',
    'Set by the image to `/models`: the folder that is served if `MODEL_URI` is not set. If it is empty or does not exist, the default of `MODEL_URI` is served, which in the image are the models that it was built with.',
  ),
  MODEL_NAME: setting(
    '',
    optional(text),
    "a model's name",
    'The model of a repository that `/predict` serves; required if there are several.',
  ),
  MODEL_FILE: setting(
    'model.onnx',
    fileBelow,
    'a path below the folder of a model, ending in .onnx',
    "Path of the file that is served below a model's folder, such as `onnx/model_quantized.onnx`.",
  ),
  MODEL_LOAD: setting(
    '',
    optional(oneOf('eager', 'lazy')),
    'eager or lazy',
    'Load the model at boot, or at the first request or `/ready`. Unset: the container is eager, the function lazy.',
  ),
  MODEL_LOAD_ON_REQUEST: setting(
    'on',
    oneOf('on', 'listed', 'off'),
    'on, listed or off',
    'Which models a request for a prediction loads, beside the one behind `/predict` and those that an administrator has loaded: any, those of `MODEL_NAMES`, or none. Requests for readiness, status and metadata load none of them.',
  ),
  MODEL_NAMES: setting(
    '',
    optional(names),
    "models' names, separated by commas",
    'The models that requests may load if `MODEL_LOAD_ON_REQUEST` is `listed`.',
  ),
  MAX_LOADED_MODELS: setting(
    '100',
    integer(1, 10_000),
    'a number, 1 to 10000',
    'Most models and versions that are loaded; beyond it, those that are used least are evicted.',
  ),
  MODEL_SHA256: setting(
    '',
    optional(parsed((hex) => (/^[0-9a-f]{64}$/i.test(hex) ? hex.toLowerCase() : undefined))),
    '64 hexadecimal digits',
    'SHA-256 of the `.onnx` file behind `/predict`: any other file is refused. External data is not part of it.',
  ),
  MODEL_SIGNATURE: setting(
    'off',
    oneOf('off', 'required'),
    'off or required',
    'Whether every model must have a signature, `model.sig`, by a key of `MODEL_PUBLIC_KEY_FILE`. Local models are copied to `TMPDIR` then.',
  ),
  MODEL_PUBLIC_KEY_FILE: setting(
    '',
    optional(matching(holdsPublicKeys)),
    'the path of a PEM file with public keys: ed25519, ECDSA (P-256, P-384, P-521) or RSA of 2048 bits or more',
    'Public keys that may sign models. It is read at start.',
  ),
  MODEL_REFRESH_SECONDS: setting(
    '0',
    integer(0, 604_800),
    'seconds, 0 to 604800',
    'Time between checks for a newer upload or version, which is swapped in. 0: no checks.',
  ),
  MODEL_MEMORY_BUDGET: setting(
    '',
    optional(integer(2 ** 26, Number.MAX_SAFE_INTEGER)),
    'bytes, 67108864 or more',
    'Bytes of memory for all loaded models; beyond it, those that are used least are evicted. Unset: what the memory limit leaves.',
  ),
  ADMIN_TOKEN_FILE: setting(
    '',
    optional(matching(holdsText)),
    'the path of a file that can be read and is not empty',
    'File that holds the bearer token for loading and unloading models over HTTP. Unset: not allowed.',
  ),
  ...AUTH_SETTINGS,
  REDIS_URL: secret(
    '',
    optional(matching((url) => /^rediss?:\/\/\S+$/.test(url))),
    'redis://[[user]:password@]host[:port][/db], or rediss:// for TLS',
    'Redis that caches the bytes of models of a bucket. Not used for local files.',
  ),
  REDIS_TTL_SECONDS: setting(
    '86400',
    integer(1, 31_536_000),
    'seconds, 1 to 31536000',
    'How long Redis keeps the bytes of a model.',
  ),
  REDIS_MAX_BYTES: setting(
    String(512 * 2 ** 20),
    integer(0, Number.MAX_SAFE_INTEGER),
    'bytes, 0 or more',
    'Larger files are not cached in Redis.',
  ),
  INFERENCE_PROCESSES: setting(
    '',
    optional(integer(1, 256)),
    'a number, 1 to 256',
    'Number of engine processes. Unset: one for each CPU of the quota, as far as the memory limit allows.',
  ),
  INTRA_OP_THREADS: setting('1', integer(1, 256), 'a number, 1 to 256', 'Threads of one run.'),
  EXECUTION_PROVIDERS: setting(
    'cpu',
    parsed((list) => (/^(cpu|cuda)(,(cpu|cuda))*$/.test(list) ? list.split(',') : undefined)),
    'cpu, cuda, or both, separated by a comma',
    "onnxruntime's providers, first choice first.",
  ),
  WEIGHTS: setting(
    'auto',
    oneOf('auto', 'packed', 'mapped'),
    'auto, packed or mapped',
    'Whether engine processes copy the weights into the order that is fastest for batches, or share the pages of the file. auto: packed, unless mapped weights let twice as many processes fit into memory.',
  ),
  MAX_BATCH_SIZE: setting('64', integer(1, 65_536), 'a number, 1 to 65536', 'Most rows in one run.'),
  MAX_BATCH_BYTES: setting(
    '',
    optional(integer(1024, 2 ** 30)),
    'bytes, 1024 to 1073741824',
    'Most bytes of the inputs of one run, and of its outputs; a row with more runs alone. Unset: a 64th of the memory limit, at least 1 MiB and at most 32 MiB.',
  ),
  MAX_BATCH_TOKENS: setting(
    '',
    optional(integer(1, 2 ** 24)),
    'a number, 1 to 16777216',
    'Most tokens of texts in one run: its texts times the longest of them. A text with more runs alone. Unset: 512 on CPUs, 16384 with other execution providers.',
  ),
  BATCH_DELAY_MS: setting(
    '0',
    integer(0, 60_000),
    'milliseconds, 0 to 60000',
    'How long the first row of a run waits for more rows. 0: it runs as soon as an engine is free.',
  ),
  MAX_QUEUE_SIZE: setting(
    '8192',
    integer(1, 1_000_000),
    'a number, 1 to 1000000',
    'Rows of short requests that may wait for a run; one more gets 429. Requests that would wait beyond their deadline get it earlier.',
  ),
  RUN_TIMEOUT_MS: setting(
    '30000',
    integer(1, DAY_MS),
    'milliseconds, 1 to 86400000',
    'The engine process of a longer run is killed and replaced.',
  ),
  LOAD_TIMEOUT_MS: setting(
    '600000',
    integer(1, DAY_MS),
    'milliseconds, 1 to 86400000',
    'The engine process that takes longer to load its model is killed.',
  ),
  PAGE: setting(
    'on',
    oneOf('on', 'off'),
    'on or off',
    'Whether `/`, a page to try the model on, and `/docs` are served.',
  ),
  LOG_LEVEL: setting(
    'info',
    oneOf('debug', 'info', 'warning', 'error'),
    'debug, info, warning or error',
    'Lowest severity that is logged.',
  ),
  LOG_REQUESTS: setting(
    'failed',
    oneOf('failed', 'all'),
    'failed or all',
    'Which requests are logged: those that failed or were slow, or all. Cloud Run logs every request itself.',
  ),
  LOG_TRANSPORT: setting(
    'stdout',
    oneOf('stdout', 'cloud'),
    'stdout or cloud',
    'JSON lines on stdout, or the Cloud Logging API (outside Google Cloud).',
  ),
  AIP_HTTP_PORT: setting(
    '',
    optional(integer(0, 65_535)),
    'a port, 0 to 65535',
    'Set by Vertex AI: the port to listen on, instead of `PORT`.',
  ),
  AIP_PREDICT_ROUTE: setting(
    '',
    optional(path),
    'a URL path that begins with /, without blanks, braces, ? or #',
    'Set by Vertex AI: an additional path for predictions.',
  ),
  AIP_HEALTH_ROUTE: setting(
    '',
    optional(path),
    'a URL path that begins with /, without blanks, braces, ? or #',
    'Set by Vertex AI: an additional path for health checks, which report readiness.',
  ),
  AIP_ENDPOINT_ID: setting(
    '',
    optional(id),
    'letters, digits, - and _',
    'Set by Vertex AI: with `AIP_DEPLOYED_MODEL_ID`, part of the default of `AIP_PREDICT_ROUTE` and `AIP_HEALTH_ROUTE`.',
  ),
  AIP_DEPLOYED_MODEL_ID: setting(
    '',
    optional(id),
    'letters, digits, - and _',
    'Set by Vertex AI: see `AIP_ENDPOINT_ID`.',
  ),
  AIP_STORAGE_URI: setting(
    '',
    optional(matching(isModelUri)),
    'gs://bucket/…, a path or file://…',
    "Set by Vertex AI: the folder of the model's files, instead of `MODEL_URI`.",
  ),
  K_SERVICE: setting(
    '',
    optional(text),
    'a name',
    'Set by Cloud Run: files count as memory, and the check for a newer model starts with a request.',
  ),
  GOOGLE_CLOUD_PROJECT: setting('', optional(text), 'a project id', 'Makes the trace of a log line a link.'),
} satisfies Record<string, Setting<unknown>>;

/** The name of a setting, which is that of its environment variable. */
export type SettingName = keyof typeof SETTINGS;
/** The parsed value of every setting, by name; undefined for an optional one that is not set. */
export type Config = { readonly [K in SettingName]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never };

/** Settings by name, with the text of each as a variable has it: those of a command line. */
export type GivenSettings = Readonly<Partial<Record<SettingName, string>>>;

/** A setting has an invalid value. The message is one line for the operator. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads every setting from the environment; an empty value counts as unset. In the result, `PORT`, `HOST` and
 * `MODEL_URI` have the values that Vertex AI and Cloud Run determine, on these platforms.
 * @throws ConfigError that names the variable, its value, and what it takes.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const names = Object.keys(SETTINGS) as SettingName[];
  const config = Object.fromEntries(names.map((name) => [name, readSetting(name, env)])) as unknown as Config;
  refuseOtherModels(config);
  refuseNamesAlone(config);
  refuseKeysAlone(config);
  const authFault = findAuthFault(config);
  if (authFault !== undefined) throw new ConfigError(authFault);
  const { host: HOST, port: PORT } = readAddress(env);
  refuseListeners({ ...config, PORT });
  return { ...config, HOST, PORT, MODEL_URI: chooseModels(config, env) };
}

/** The address of the models: that of Vertex AI, else that which is set, else the default folder if there is anything in it. */
function chooseModels({ AIP_STORAGE_URI, MODEL_URI, DEFAULT_MODEL_FOLDER }: Config, env: NodeJS.ProcessEnv): string {
  if (AIP_STORAGE_URI !== undefined) return AIP_STORAGE_URI;
  if (env.MODEL_URI?.trim() || DEFAULT_MODEL_FOLDER === undefined) return MODEL_URI;
  return isWithoutFiles(DEFAULT_MODEL_FOLDER) ? MODEL_URI : DEFAULT_MODEL_FOLDER;
}

/** The environment, in which `given` replaces settings. */
export function environmentWith(given: GivenSettings): NodeJS.ProcessEnv {
  return { ...process.env, ...given };
}

/** The environment with these settings and no others: an empty value counts as unset. */
export function environmentOf(given: GivenSettings): NodeJS.ProcessEnv {
  const unset = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, '']));
  return { ...process.env, ...unset, ...given };
}

/** The text of a setting in the environment; undefined if it is not set. */
export function textOfSetting(name: SettingName): string | undefined {
  return process.env[name]?.trim() || undefined;
}

/** Whether the process runs for others than its developer: libraries take their production paths, or Cloud Run has started it. */
export function isInProduction(): boolean {
  return process.env.NODE_ENV === 'production' || textOfSetting('K_SERVICE') !== undefined;
}

/** Where a server listens. */
interface Address {
  /** As `HOST`. */
  readonly host: string;
  readonly port: number;
}

/** The address and port for requests; other settings are not read. @throws ConfigError as `readConfig` does. */
function readAddress(env: NodeJS.ProcessEnv): Address {
  const port = readSetting('AIP_HTTP_PORT', env);
  // Both platforms send requests and probes from outside of the container.
  const isReached = port !== undefined || readSetting('K_SERVICE', env) !== undefined;
  const host = isReached && !env.HOST?.trim() ? '*' : readSetting('HOST', env);
  return { host, port: port ?? readSetting('PORT', env) };
}

/**
 * The address and port that respond to probes without a client certificate, and whether over TLS; other settings are not read.
 * @throws ConfigError as `readConfig` does.
 */
export function readProbeAddress(env: NodeJS.ProcessEnv = process.env): Address & { readonly tls: boolean } {
  const tls = readSetting('TLS_CERT_FILE', env) !== undefined;
  const address = readAddress(env);
  const port = readSetting('ADMIN_PORT', env);
  if (port === undefined) return { ...address, tls };
  return { host: readSetting('ADMIN_HOST', env) ?? address.host, port, tls };
}

function readSetting<K extends SettingName>(name: K, env: NodeJS.ProcessEnv): Config[K] {
  const { default: fallback, schema, takes, secret: hidden }: Setting<unknown> = SETTINGS[name];
  const given = env[name]?.trim() || fallback;
  const result = schema.safeParse(given);
  if (result.success) return result.data as Config[K];
  throw new ConfigError(`${name}=${hidden ? '…' : JSON.stringify(given)} is not usable: it takes ${takes}`);
}

/** Refuses settings of ports and certificates that contradict each other. */
function refuseListeners(config: Config): void {
  const { PORT, ADMIN_PORT, ADMIN_HOST, TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE } = config;
  if ((TLS_CERT_FILE === undefined) !== (TLS_KEY_FILE === undefined)) {
    const [set, unset] = TLS_KEY_FILE === undefined ? ['CERT', 'KEY'] : ['KEY', 'CERT'];
    throw new ConfigError(`TLS_${set}_FILE is set and TLS_${unset}_FILE is not: set both, or none`);
  }
  if (TLS_CLIENT_CA_FILE !== undefined && TLS_CERT_FILE === undefined) {
    throw new ConfigError('TLS_CLIENT_CA_FILE is set and TLS_CERT_FILE is not: client certificates need TLS');
  }
  if (TLS_CLIENT_CA_FILE !== undefined && ADMIN_PORT === undefined) {
    throw new ConfigError(
      'TLS_CLIENT_CA_FILE is set and ADMIN_PORT is not: set it for probes, which have no client certificate',
    );
  }
  if (ADMIN_HOST !== undefined && ADMIN_PORT === undefined) {
    throw new ConfigError('ADMIN_HOST is set and ADMIN_PORT is not: set both, or none');
  }
  if (ADMIN_PORT === PORT && PORT !== 0) {
    throw new ConfigError(`ADMIN_PORT=${PORT} is not usable: it is the port for requests too`);
  }
}

/** Refuses a path of Vertex AI that names another model than `MODEL_NAME`: both paths serve the model behind `/predict`. */
function refuseOtherModels(config: Config): void {
  for (const name of ['AIP_PREDICT_ROUTE', 'AIP_HEALTH_ROUTE'] as const) {
    const route = config[name];
    const named = route === undefined ? undefined : modelOfRoute(route);
    if (named === undefined || config.MODEL_NAME === undefined || named === config.MODEL_NAME) continue;
    const both = `${name}=${JSON.stringify(route)} is not usable: it names the model ${named}, and MODEL_NAME is ${config.MODEL_NAME}`;
    throw new ConfigError(`${both}: name the same model in both`);
  }
}

/** Refuses a list of names that has no effect, and the mode that needs one without it. */
function refuseNamesAlone({ MODEL_NAMES, MODEL_LOAD_ON_REQUEST }: Config): void {
  if ((MODEL_NAMES !== undefined) === (MODEL_LOAD_ON_REQUEST === 'listed')) return;
  const message = `MODEL_LOAD_ON_REQUEST=${JSON.stringify(MODEL_LOAD_ON_REQUEST)} is not usable`;
  if (MODEL_NAMES === undefined) throw new ConfigError(`${message}: MODEL_NAMES is not set: name the models in it`);
  throw new ConfigError(`${message}: MODEL_NAMES names models, and takes effect only if it is listed`);
}

/** Refuses keys that verify nothing, and required signatures without keys. */
function refuseKeysAlone({ MODEL_SIGNATURE, MODEL_PUBLIC_KEY_FILE }: Config): void {
  if ((MODEL_PUBLIC_KEY_FILE !== undefined) === (MODEL_SIGNATURE === 'required')) return;
  const message = `MODEL_SIGNATURE=${JSON.stringify(MODEL_SIGNATURE)} is not usable: MODEL_PUBLIC_KEY_FILE`;
  if (MODEL_PUBLIC_KEY_FILE === undefined)
    throw new ConfigError(`${message} is not set: name the file of the keys in it`);
  throw new ConfigError(`${message} is set, and takes effect only if it is required`);
}
