import { engineBytes, SERVER_BYTES } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';
import { runLoad } from '../loadtest/run-load.ts';
import { errorsOf } from '../loadtest/summary.ts';
import type { Sample } from './objective.ts';
import { startTunedServer, type TunedServer } from './server.ts';
import { type Settings, serverKeyOf, variablesOf } from './settings.ts';

interface BenchOptions {
  /** The `.onnx` file. */
  readonly model: string;
  /** Its bytes, with its weights. */
  readonly modelBytes: number;
  /** What is sent, in turn. */
  readonly requests: readonly Buffer[];
  /** Of the measured part of a load. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Measures a model with settings, one server at a time. */
export interface Bench {
  /** Loads the server for a while. @throws ServingError if the server does not start, or refuses all requests */
  measure(settings: Settings): Promise<Sample>;
  close(): Promise<void>;
}

/** Part of the seconds of a load before it is measured: code is compiled, and batches get their usual size. */
const WARM_UP_SHARE = 0.3;
const TIMEOUT_MS = 20_000;

/** Creates a bench. The server of the last settings keeps running: other loads of it need no start. */
export function createBench({ model, modelBytes, requests, seconds, signal }: BenchOptions): Bench {
  let running: { readonly key: string; readonly server: TunedServer } | undefined;

  async function close(): Promise<void> {
    const last = running?.server;
    running = undefined;
    await last?.stop();
  }

  async function serverFor(settings: Settings): Promise<TunedServer> {
    const key = serverKeyOf(settings);
    if (running?.key === key) return running.server;
    await close();
    const server = await startTunedServer(model, variablesOf(settings), signal);
    running = { key, server };
    return server;
  }

  return {
    close,
    async measure(settings) {
      const server = await serverFor(settings);
      const callers = [{ seconds, from: settings.concurrency, to: settings.concurrency }];
      const result = await runLoad(
        {
          endpoint: { port: server.port },
          requests,
          loop: { kind: 'closed', callers },
          warmupSeconds: seconds * WARM_UP_SHARE,
          timeoutMs: TIMEOUT_MS,
        },
        { signal },
      );
      signal.throwIfAborted();
      if (result.ok === 0 && result.requests > 0) {
        const [status = ''] = errorsOf(result)[0] ?? [];
        const said = result.samples[Number(status)];
        throw new ServingError('MODEL_FAILED', `no request succeeded: ${status} ${said ?? ''}; give a file of rows`);
      }
      return {
        rate: result.rate,
        p99Ms: result.latency.p99,
        memoryBytes: server.memory() ?? SERVER_BYTES + settings.processes * engineBytes(modelBytes),
        errorRate: result.errorRate,
        generatorCores: result.generator.cores,
      };
    },
  };
}
