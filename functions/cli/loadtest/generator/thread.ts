/** A thread that generates a part of a load: `generateInThreads` starts it. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FromThread } from './from-thread.ts';
import { type GeneratorOptions, generate } from './generate.ts';

const options = workerData as GeneratorOptions;
const controller = new AbortController();
const send = (message: FromThread): void => parentPort!.postMessage(message);

parentPort!.once('message', () => controller.abort());
const recording = await generate(
  { ...options, requests: options.requests.map((bytes) => Buffer.from(bytes)) },
  {
    onMeasure: () => send({ kind: 'measure' }),
    onProgress: (progress) => send({ kind: 'progress', progress }),
    signal: controller.signal,
  },
);
send({ kind: 'recording', recording });
parentPort!.close();
