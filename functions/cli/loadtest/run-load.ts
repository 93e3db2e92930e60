import { type GeneratorOptions, generate, type Hooks } from './generator/generate.ts';
import { type LoadResult, summarize } from './summary.ts';

type Optional = 'warmupSeconds' | 'maxRequests' | 'timeoutMs' | 'honoursRetryAfter';

/** A load, with defaults for what is usual. */
export interface LoadOptions extends Omit<GeneratorOptions, Optional>, Partial<Pick<GeneratorOptions, Optional>> {}

const DEFAULTS = { warmupSeconds: 1, maxRequests: 0, timeoutMs: 30_000, honoursRetryAfter: false } as const;

/**
 * Loads a server, and gives rate, latencies and errors. Without `Retry-After`, with one second of warm-up and 30 s for a response unless
 * the options say otherwise.
 *
 * @example 32 callers for 5 s
 * const callers = [{ seconds: 5, from: 32, to: 32 }];
 * const requests = [requestBytes('POST', '/predict', '{"features":[5.1,3.5,1.4,0.2]}')];
 * const { rate, latency } = await runLoad({ endpoint: { port: 8080 }, requests, loop: { kind: 'closed', callers } });
 */
export async function runLoad(options: LoadOptions, hooks: Hooks = {}): Promise<LoadResult> {
  return summarize(await generate({ ...DEFAULTS, ...options }, hooks), options.loop);
}
