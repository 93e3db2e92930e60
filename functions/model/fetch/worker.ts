/**
 * The fetching process. It has the clients of Cloud Storage and Redis, which so take neither time nor memory of the serving
 * process. It does the jobs that its parent sends, several at once, and ends when the parent disconnects.
 */
import { ServingError } from '../../errors.ts';
import { createFileSource } from '../sources/file.ts';
import { createGcsSource } from '../sources/gcs/gcs.ts';
import { createRedisCache } from '../sources/redis/cache.ts';
import { type Source, SourceError } from '../sources/source.ts';
import { checkModel, fetchModel, fetchSignature } from './fetch-model.ts';
import type { FetchSource, FromWorker, Job, ToWorker } from './protocol.ts';
import { retrying } from './retry.ts';

/** How often the fetched bytes are reported. */
const REPORT_MS = 100;

/** A job ends early only with its process. */
const { signal } = new AbortController();
let source: Source | undefined;
let openError: ServingError | undefined;

function send(message: FromWorker): void {
  if (process.connected) process.send!(message);
}

function open({ uri, cache }: FetchSource): Source {
  if (!uri.startsWith('gs://')) return createFileSource(uri);
  const origin = createGcsSource(uri);
  return cache === undefined
    ? origin
    : createRedisCache(origin, { ...cache, onEvent: (event) => send({ cache: event }) });
}

const onRetry = ({ message }: Error, waitMs: number): void => send({ retry: { message, waitMs } });

async function run(id: number, job: Job): Promise<unknown> {
  if (job.kind === 'check') return checkModel(job.model);
  if (openError !== undefined) throw openError;
  if (job.kind === 'list') return retrying(() => source!.list(signal, job.scope), { signal, onRetry });
  if (job.kind === 'folders') return retrying(() => source!.folders(signal), { signal, onRetry });
  let bytes = 0;
  let reported = 0;
  const report = (): void => {
    if (bytes !== reported) send({ id, bytes });
    reported = bytes;
  };
  const timer = setInterval(report, REPORT_MS);
  const onBytes = (more: number): void => {
    bytes += more;
  };
  try {
    const options = { signal, onBytes, onRetry };
    return job.kind === 'verify'
      ? await fetchSignature(source!, job.order, options)
      : await fetchModel(source!, job.order, options);
  } finally {
    clearInterval(timer);
    report();
  }
}

async function runAndReport(id: number, job: Job): Promise<void> {
  try {
    send({ id, result: await run(id, job) });
  } catch (error) {
    const fault = error instanceof SourceError ? error.fault : undefined;
    send({ id, error: { message: error instanceof ServingError ? error.message : String(error), fault } });
  }
}

process.on('message', (message: ToWorker) => {
  if ('job' in message) void runAndReport(message.id, message.job);
  else if (message.open !== undefined) {
    try {
      source = open(message.open);
    } catch (error) {
      openError = error as ServingError;
    }
  }
});
// Results are no longer needed, and partial files are removed with the parent's folder.
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
