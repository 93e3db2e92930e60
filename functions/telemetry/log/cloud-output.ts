import { type LogEntry, makeEntry } from './log-entry.ts';
import type { Output, StdoutOutput } from './stdout-output.ts';
import { createWaiters } from './waiters.ts';

/** The part of `LoggingWinston` used here. */
export interface CloudClient {
  log(info: object, done: (error?: Error | null) => void): void;
}

/** The part of its log used here, which its types leave out. */
interface Authenticated {
  readonly logging: { readonly auth: { getClient(): Promise<unknown> } };
}

export interface CloudOutputOptions {
  projectId?: string | undefined;
  /** Takes every entry that the API does not. */
  fallback: StdoutOutput;
  /** Gives the client; by default `@google-cloud/logging-winston`, imported when the first line comes. */
  load?: (projectId: string | undefined) => Promise<CloudClient>;
}

/** It has no use for the text of an entry: the API takes fields. */
export interface CloudOutput extends Output {
  write(entry: LogEntry): void;
}

/** Entries held for the API: beyond, they go to the fallback. */
const MAX_PENDING = 1000;
const LOG_NAME = 'onnx-cloud-run';
/** The transport's numbers for our levels. */
const CLOUD_LEVELS = { critical: 2, error: 3, warning: 4, info: 6, debug: 7 };

async function loadCloudClient(projectId: string | undefined): Promise<CloudClient> {
  // The default alone: a bundler gives a CommonJS module no named exports here.
  const { default: logging } = await import('@google-cloud/logging-winston');
  const client = new logging.LoggingWinston({
    logName: LOG_NAME,
    levels: CLOUD_LEVELS,
    ...(projectId === undefined ? {} : { projectId }),
  });
  // Credentials are checked here: without any, the library's own first call rejects a promise that cannot be caught.
  await (client.common.cloudLog as unknown as Authenticated).logging.auth.getClient();
  return client as CloudClient;
}

/**
 * Sends entries to the Cloud Logging API. An entry is kept until the API has it: what the API refuses, what comes
 * while too many are pending and what is unsent at exit goes to stdout, twice rather than never. A client that does not
 * load, or whose first response is an error (no credentials, no permission), is abandoned with one warning.
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
    warn('Cloud Logging can not be used; lines are written to stdout instead', error);
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

/** The API's shape of an entry: a Duration for the latency, a Date for the time, the stack where Error Reporting looks. */
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
