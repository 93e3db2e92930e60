import { type ChildProcess, fork } from 'node:child_process';
import { constants, getPriority, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ServingError } from '../../errors.ts';
import type { SignedFiles } from '../signature/bundle.ts';
import type { CacheEvent } from '../sources/redis/cache.ts';
import { type Entry, type Scope, SourceError } from '../sources/source.ts';
import type {
  Checked,
  FetchOrder,
  FetchSource,
  FromWorker,
  Job,
  ModelOrder,
  SerializedError,
  SignatureOrder,
  ToWorker,
} from './protocol.ts';

/**
 * Runs jobs in a fetching process, which starts for the first job and ends 2 s after the last. The jobs throw SourceError;
 * ServingError `MODEL_FAILED`, or `DRAINING` after `close`.
 */
export interface Fetcher {
  /** Starts the process ahead of its first job. */
  start(): void;
  list(scope?: Scope): Promise<readonly Entry[]>;
  folders(): Promise<readonly string[]>;
  fetchModel(order: FetchOrder, onBytes: (bytes: number) => void): Promise<Checked>;
  verify(order: SignatureOrder): Promise<SignedFiles>;
  /** Inspects a local file. */
  check(model: ModelOrder): Promise<Checked>;
  /** Ends the process, and fails its jobs. */
  close(): void;
}

/** The functions that a fetcher calls for the log and metrics. */
export interface FetcherEvents {
  /** A read is repeated. @param background whether no request waits for it */
  onRetry(message: string, waitMs: number, background: boolean): void;
  onCache(event: CacheEvent): void;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onBytes?: ((bytes: number) => void) | undefined;
}

const source = import.meta.url.endsWith('.ts');
const ENTRY = fileURLToPath(new URL(source ? './worker.ts' : './fetcher.js', import.meta.url));
/**
 * The chunks of Redis and of a proxy become garbage at once: a young generation of 1 MB reuses their memory while it is in the
 * processor's cache. V8 marks the old generation after every 64 MB of chunks. In one pause that takes half as much CPU as in
 * increments, and less garbage collects; a pause of 10 ms delays no request here.
 */
const FLAGS = ['--max-semi-space-size=1', '--no-incremental-marking'];
/** A load lists, fetches and lists again. The process ends soon after: the engine that loads the model needs its 80 MB. */
const LINGER_MS = 2000;

/**
 * Creates a fetcher. It starts no process yet.
 * @param from the source that the process reads; undefined if it only inspects local files
 * @param background whether its process has a lower priority than those that serve requests
 */
export function createFetcher(from: FetchSource | undefined, events: FetcherEvents, background = false): Fetcher {
  const pending = new Map<number, Pending>();
  let child: ChildProcess | undefined;
  let linger: NodeJS.Timeout | undefined;
  let nextId = 1;
  let closed = false;

  function start(): ChildProcess {
    clearTimeout(linger);
    if (child !== undefined) return child;
    const made = startFetchingProcess();
    child = made;
    let why = '';
    made.on('message', (message: FromWorker) => receive(message));
    made.on('error', (error) => {
      why = error.message;
      end(made, why);
    });
    made.on('exit', (code, signal) => end(made, why || (signal ? `killed by ${signal}` : `exit code ${code}`)));
    if (background && made.pid !== undefined) lowerPriority(made.pid);
    send({ open: from });
    return made;
  }

  function send(message: ToWorker): void {
    // If the process has ended or could not start, its event fails the job.
    if (child?.connected) child.send(message, () => {});
  }

  function receive(message: FromWorker): void {
    if ('retry' in message) events.onRetry(message.retry.message, message.retry.waitMs, background);
    else if ('cache' in message) events.onCache(message.cache);
    else if ('bytes' in message) pending.get(message.id)?.onBytes?.(message.bytes);
    else settle(message);
  }

  function settle(message: Extract<FromWorker, { result: unknown } | { error: unknown }>): void {
    const job = pending.get(message.id);
    pending.delete(message.id);
    if (pending.size === 0) endWhenIdle();
    if ('error' in message) job?.reject(toError(message.error));
    else job?.resolve(message.result);
  }

  function endWhenIdle(): void {
    clearTimeout(linger);
    linger = setTimeout(disconnect, LINGER_MS);
    linger.unref();
    child?.unref();
    child?.channel?.unref();
  }

  function disconnect(): void {
    const old = child;
    child = undefined;
    if (old?.connected) old.disconnect();
  }

  function end(ended: ChildProcess, how: string): void {
    if (child !== ended) return;
    child = undefined;
    const error = new SourceError('transient', `the fetching process ended: ${how}`);
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  }

  async function run(job: Job, onBytes?: (bytes: number) => void): Promise<unknown> {
    if (closed) throw new ServingError('DRAINING', 'the server is shutting down');
    const made = start();
    made.ref();
    made.channel?.ref();
    return new Promise((resolve, reject) => {
      const id = nextId++;
      pending.set(id, { resolve, reject, onBytes });
      send({ id, job });
    });
  }

  return {
    start: () =>
      attempt(() => {
        start();
        if (pending.size === 0) endWhenIdle();
      }),
    list: (scope = {}) => run({ kind: 'list', scope }) as Promise<readonly Entry[]>,
    folders: () => run({ kind: 'folders' }) as Promise<readonly string[]>,
    fetchModel: (order, onBytes) => run({ kind: 'fetchModel', order }, onBytes) as Promise<Checked>,
    verify: (order) => run({ kind: 'verify', order }) as Promise<SignedFiles>,
    check: (model) => run({ kind: 'check', model }) as Promise<Checked>,
    close() {
      closed = true;
      clearTimeout(linger);
      const old = child;
      if (old !== undefined) end(old, 'the server is shutting down');
      old?.kill('SIGKILL');
    },
  };
}

function toError({ fault, message }: SerializedError): ServingError {
  return fault === undefined ? new ServingError('MODEL_FAILED', message) : new SourceError(fault, message);
}

/**
 * Starts a fetching process, which ends when it is disconnected.
 * @throws SourceError `transient` if there is no memory for a process. Other reasons are an event of the process.
 */
export function startFetchingProcess(): ChildProcess {
  try {
    return fork(ENTRY, [], { execArgv: FLAGS, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  } catch (error) {
    const message = `the fetching process could not start: ${(error as Error).message}`;
    throw new SourceError('transient', message, { cause: error });
  }
}

/** Ignores what `start` throws: the first job tries again, and fails with the reason. */
function attempt(start: () => void): void {
  try {
    start();
  } catch {}
}

function lowerPriority(pid: number): void {
  try {
    // Lower than this process, which may have a lower priority itself. Not the lowest priority: on a busy server the listing would
    // never finish.
    const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;
    setPriority(pid, Math.min(PRIORITY_LOW, getPriority() + PRIORITY_BELOW_NORMAL));
  } catch {
    // A sandbox may not allow it: the process then competes with requests.
  }
}
