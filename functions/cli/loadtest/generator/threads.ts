import { Worker } from 'node:worker_threads';
import type { FromThread } from './from-thread.ts';
import type { GeneratorOptions, Hooks, Progress } from './generate.ts';
import { mergeRecordings } from './merge.ts';
import type { Profile } from './profile.ts';
import type { Recording } from './recorder.ts';

/** The entry: in the build it lies beside the file that contains this module. */
const isSource = import.meta.url.endsWith('.ts');
const ENTRY = new URL(isSource ? './thread.ts' : './loadtest-thread.js', import.meta.url);

/**
 * Generates a load in several threads, each with an equal part of the callers or of the rate.
 * @param threads at most as many as there are callers, or connections
 * @throws Error if a thread ends without a result
 */
export async function generateInThreads(
  options: GeneratorOptions,
  threads: number,
  { onMeasure, onProgress, signal }: Omit<Hooks, 'check'>,
): Promise<Recording> {
  const latest = new Map<number, Progress>();
  let measures = 0;
  const parts = Array.from({ length: threads }, (_, i) => {
    const worker = new Worker(ENTRY, { workerData: partOf(options, i, threads) });
    const stop = (): void => worker.postMessage('stop');
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    return new Promise<Recording>((resolve, reject) => {
      let recording: Recording | undefined;
      worker.on('message', (message: FromThread) => {
        if (message.kind === 'recording') recording = message.recording;
        else if (message.kind === 'measure') {
          measures += 1;
          if (measures === 1) onMeasure?.();
        } else {
          latest.set(i, message.progress);
          // The first thread sets the pace.
          if (i === 0) onProgress?.(sumOf([...latest.values()]));
        }
      });
      worker.on('error', reject);
      worker.on('exit', (code) => {
        signal?.removeEventListener('abort', stop);
        if (recording === undefined) reject(new Error(`a thread of the generator ended with ${code}`));
        else resolve(recording);
      });
    });
  });
  return mergeRecordings(await Promise.all(parts));
}

/** The part of a load that thread `i` of `threads` has: whole callers and connections, and of a rate every nth request. */
function partOf({ loop, maxRequests, ...rest }: GeneratorOptions, i: number, threads: number): GeneratorOptions {
  const share = (count: number): number => Math.floor((count + threads - 1 - i) / threads);
  const spread = (profile: Profile, part: (level: number) => number): Profile =>
    profile.map(({ seconds, from, to }) => ({ seconds, from: part(from), to: part(to) }));
  const own =
    loop.kind === 'closed'
      ? { ...loop, callers: spread(loop.callers, share) }
      : {
          ...loop,
          rate: spread(loop.rate, (level) => level / threads),
          connections: share(loop.connections),
          seed: loop.seed + i,
          offset: i / threads,
        };
  return { ...rest, loop: own, maxRequests: share(maxRequests) };
}

function sumOf(all: readonly Progress[]): Progress {
  const sum = (name: 'requests' | 'ok' | 'failed' | 'pending'): number =>
    all.reduce((total, progress) => total + progress[name], 0);
  const most = (name: 'p50' | 'p99'): number => Math.max(...all.map((progress) => progress[name]));
  return {
    ...all[0]!,
    requests: sum('requests'),
    ok: sum('ok'),
    failed: sum('failed'),
    pending: sum('pending'),
    p50: most('p50'),
    p99: most('p99'),
  };
}
