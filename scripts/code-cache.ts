import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { initializer, model, node, value } from '../functions/onnx/proto/build.ts';
import { SERVER_FLAGS } from './node-flags.ts';
import { startServer } from './server-process.ts';

/** Enough for all functions of a request to be compiled, and too few for V8 to optimize them. */
const REQUESTS = 20;
const READY_TRIES = 300;
const READY_EVERY_MS = 100;
const FEATURES = [5.1, 3.5, 1.4, 0.2];
const BODY = JSON.stringify({ features: FEATURES });

/** Has a server write what V8 has compiled of `server.cjs` to a file when it gets SIGUSR2. */
const hook = (file: string): string =>
  `data:text/javascript,${encodeURIComponent(`
  import { readFileSync, writeFileSync } from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  import { setFlagsFromString } from 'node:v8';
  import vm from 'node:vm';
  import { crc32 } from 'node:zlib';
  const { Script } = vm;
  vm.Script = class extends Script {
    constructor(source, options) {
      super(source, options);
      if (!options.filename.endsWith('server.cjs')) return;
      process.once('SIGUSR2', () => {
        // The flags have to be those of a start: the server changes these.
        setFlagsFromString('--maglev');
        setFlagsFromString('--heap-growing-percent=0');
        const cache = this.createCachedData();
        const crc = Buffer.alloc(4);
        crc.writeUInt32LE(crc32(cache, crc32(readFileSync(options.filename))));
        writeFileSync(${JSON.stringify(file)}, Buffer.concat([cache, crc]));
        process.exit(0);
      });
    }
  };
  syncBuiltinESMExports();
`)}`;

/**
 * Writes `server.cache` beside `server.cjs`, as `functions/start.ts` reads it: what V8 has compiled of it after a start and the first
 * predictions. A start with it takes
 * a fifth less CPU.
 * @param dist the folder of the build
 * @throws Error if the server does not start, or does not write it
 */
export async function writeCodeCache(dist: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'code-cache-'));
  try {
    writeClassifier(folder);
    await runServer(dist, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A model of its own: an image's layer of the server does not depend on the models in the image. */
function writeClassifier(folder: string): void {
  const parts = {
    name: 'classifier',
    nodes: [
      node('Gemm', ['features', 'w', 'b'], ['scores']),
      node('Softmax', ['scores'], ['probabilities'], { axis: 1n }),
      node('ArgMax', ['probabilities'], ['label'], { axis: 1n, keepdims: 0n }),
    ],
    initializers: [
      initializer('w', 'float32', [4, 2], new Float32Array(8)),
      initializer('b', 'float32', [2], new Float32Array([1, 0])),
    ],
    inputs: [value('features', 'float32', ['N', 4])],
    outputs: [value('label', 'int64', ['N']), value('probabilities', 'float32', ['N', 2])],
  };
  writeFileSync(join(folder, 'model.onnx'), model(parts));
  const manifest = { output: 'label', classes: ['a', 'b'], example: { features: FEATURES } };
  writeFileSync(join(folder, 'model.json'), JSON.stringify(manifest));
  const golden = { tolerance: 1e-4, rows: [{ features: FEATURES, outputs: { label: 0 } }] };
  writeFileSync(join(folder, 'golden.json'), JSON.stringify(golden));
}

async function runServer(dist: string, models: string): Promise<void> {
  const args = ['--import', hook(`${dist}/server.cache`), ...SERVER_FLAGS, `${dist}/server.js`];
  const server = await startServer(args, { MODEL_URI: models, NODE_ENV: 'production', INFERENCE_PROCESSES: '1' });
  try {
    await untilReady(server.url);
    for (let i = 0; i < REQUESTS; i++) {
      const { status } = await fetch(`${server.url}/predict`, {
        method: 'POST',
        body: BODY,
        headers: { 'content-type': 'application/json' },
      });
      if (status !== 200) throw new Error(`a prediction got ${status}`);
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  const { code } = await server.stop('SIGUSR2');
  if (code !== 0) throw new Error(`the server ended with ${code}: ${server.written()}`);
}

async function untilReady(url: string): Promise<void> {
  for (let i = 0; i < READY_TRIES; i++) {
    if ((await fetch(`${url}/ready`)).status === 200) return;
    await sleep(READY_EVERY_MS);
  }
  throw new Error('the server did not become ready');
}
