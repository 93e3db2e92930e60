import { type LogEntry, makeEntry } from './log-entry.ts';
import type { Output, StdoutOutput } from './stdout-output.ts';
import { createWaiters } from './waiters.ts';

/** The part of `LoggingWinston` used here. */
export interface CloudClient {
  log(info: object, done: (error?: Error | null) => void): void;
}

/** The part of its log used here, which its types lack. */
interface Authenticated {
  readonly logging: { readonly auth: { getClient(): Promise<unknown> } };
}

interface CloudOutputOptions {
  /** Default: the project of the credentials. */
  projectId?: string | undefined;
  /** Gets every entry that the API does not accept. */
  fallback: StdoutOutput;
  /** Creates the client. Default: that of `@google-cloud/logging-winston`, which is imported when the first line is written. */
  load?: (projectId: string | undefined) => Promise<CloudClient>;
}

/** An output that ignores the text of an entry: the API takes fields. */
interface CloudOutput extends Output {
  write(entry: LogEntry): void;
}

/** Most entries that are kept for the API; further ones are written to the fallback. */
const MAX_PENDING = 1000;
const LOG_NAME = 'onnx-cloud-run';
/** The transport's number of each level. */
const CLOUD_LEVELS = { critical: 2, error: 3, warning: 4, info: 6, debug: 7 };

async function loadCloudClient(projectId: string | undefined): Promise<CloudClient> {
  // Only the default export: in the bundle, a CommonJS module has no named ones.
  const { default: logging } = await import('@google-cloud/logging-winston');
  const client = new logging.LoggingWinston({
    logName: LOG_NAME,
    levels: CLOUD_LEVELS,
    ...(projectId === undefined ? {} : { projectId }),
  });
  // Checks the credentials: without any, the library's own first call rejects a promise that cannot be caught.
  await (client.common.cloudLog as unknown as Authenticated).logging.auth.getClient();
  return client as CloudClient;
}

/**
 * Creates an output to the Cloud Logging API. An entry is kept until the API has accepted it. Entries that the API refuses, that
 * arrive while too many are pending, or that are unsent at exit are written to stdout: twice rather than never. A client that does
 * not load, or whose first response is an error (no credentials, no permission), is abandoned with one warning.
 */
export function createCloudOutput({ projectId, fallback, load = loadCloudClient }: CloudOutputOptions): CloudOutput {
  const pending = new Set<LogEntry>();
  const waiters = createWaiters();
  let client: CloudClient | undefined;
  let started = false;
  let abandoned = false;
  let confirmed = false;
  let failing = false;

  function settle(entry: LogEntry, error?: Error | null): void {
    if (!pending.has(entry)) return;
    if (error != null && !confirmed) {
      giveUp(error);
      return;
    }
    if (error == null) {
      confirmed = true;
    } else {
      if (!failing) warn('the Cloud Logging API refuses lines; they are written to stdout instead', error);
      writeToFallback(entry);
    }
    failing = error != null;
    pending.delete(entry);
    if (pending.size === 0) waiters.wake();
  }

  function giveUp(error: unknown): void {
    abandoned = true;
    warn('Cloud Logging cannot be used; lines are written to stdout instead', error);
    flushToFallback();
    process.off('exit', flushAtExit);
    waiters.wake();
  }

  function warn(message: string, error: unknown): void {
    writeToFallback(makeEntry('warning', message, { error }, projectId));
  }

  function writeToFallback(entry: LogEntry): void {
    fallback.write(entry, fallback.format(entry));
  }

  function flushToFallback(): void {
    for (const entry of pending) writeToFallback(entry);
    pending.clear();
  }

  function flushAtExit(): void {
    flushToFallback();
    fallback.drain();
  }

  function send(to: CloudClient, entry: LogEntry): void {
    try {
      to.log(toCloudInfo(entry), (error) => settle(entry, error));
    } catch (error) {
      settle(entry, error as Error);
    }
  }

  async function start(): Promise<void> {
    try {
      client = await load(projectId);
      for (const entry of [...pending]) send(client, entry);
    } catch (error) {
      giveUp(error);
    }
  }

  function write(entry: LogEntry): void {
    if (abandoned || pending.size >= MAX_PENDING) {
      writeToFallback(entry);
      return;
    }
    pending.add(entry);
    if (client !== undefined) send(client, entry);
    if (started) return;
    started = true;
    process.once('exit', flushAtExit);
    setImmediate(start);
  }

  async function flush(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    if (pending.size > 0) await waiters.wait(timeoutMs);
    await fallback.flush(Math.max(0, end - performance.now()));
  }

  return { format: (entry) => entry.message, write, flush };
}

/** The API's form of an entry: a Duration for the latency, a Date for the time, the stack in the field that Error Reporting reads. */
function toCloudInfo(entry: LogEntry): object {
  const { severity, message, time, httpRequest, stack_trace, ...rest } = entry;
  const level = severity.toLowerCase();
  const info: Record<string, unknown> = { level, message, timestamp: new Date(time) };
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) info[name] = value;
  if (stack_trace !== undefined) info.stack = stack_trace;
  if (httpRequest !== undefined) info.httpRequest = { ...httpRequest, latency: toDuration(httpRequest.latency) };
  return info;
}

/** `"1.000250000s"` as google.protobuf.Duration. */
function toDuration(latency: string): { seconds: number; nanos: number } {
  const [seconds = '0', nanos = '0'] = latency.slice(0, -1).split('.');
  return { seconds: Number(seconds), nanos: Number(nanos) };
}
