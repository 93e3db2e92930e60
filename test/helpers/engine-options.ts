import type { EngineOptions } from '../../functions/model/serving/generation.ts';

/** The engine options of a server in tests: one engine process, rows joined without delay. @param options replace these defaults */
export function engineOptions(options: Partial<EngineOptions> = {}): EngineOptions {
  return {
    capacity: { cpus: 1, memoryBytes: undefined },
    processes: 1,
    intraOpThreads: 1,
    executionProviders: ['cpu'],
    maxBatchSize: 8,
    batchDelayMs: 0,
    maxQueueSize: 100,
    runTimeoutMs: 10_000,
    ...options,
  };
}
