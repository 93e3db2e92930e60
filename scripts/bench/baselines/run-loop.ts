/**
 * Baseline (d): `session.run` in a loop with no HTTP, on all CPUs, in two forms: `threads`, one session with as many intra-op
 * threads as CPUs, and `processes`, one process with one thread for each CPU.
 *
 *   node scripts/bench/baselines/run-loop.ts --model model.onnx --form processes --seconds 5
 *
 * Sessions are created and warm before the clock starts. Prints one line of JSON, { form, runs, seconds, rate, p50 }.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

process.env.ORT_DISABLE_TELEMETRY = '1';

export interface LoopResult {
  form: string;
  runs: number;
  seconds: number;
  /** Runs of one row per second, over all CPUs. */
  rate: number;
  /** Median time of a run, ms. */
  p50: number;
}

interface Part {
  runs: number;
  seconds: number;
  p50: number;
}

const WARMUP_RUNS = 3;

async function warmRunner(modelPath: string, threads: number): Promise<() => Promise<unknown>> {
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(modelPath, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  const feeds: Record<string, InstanceType<typeof ort.Tensor>> = {};
  for (const input of session.inputMetadata) {
    if (!input.isTensor || input.type !== 'float32') throw new Error(`${input.name}: float32 inputs only`);
    const dims = input.shape.map((size) => (typeof size === 'number' && size > 0 ? size : 1));
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1)).map((_, i) => (i % 255) / 255);
    feeds[input.name] = new ort.Tensor('float32', data, dims);
  }
  for (let i = 0; i < WARMUP_RUNS; i += 1) await session.run(feeds);
  return () => session.run(feeds);
}

async function loop(run: () => Promise<unknown>, seconds: number): Promise<Part> {
  const times: number[] = [];
  const startedAt = performance.now();
  let now = startedAt;
  while (now - startedAt < seconds * 1000) {
    await run();
    const after = performance.now();
    times.push(after - now);
    now = after;
  }
  times.sort((a, b) => a - b);
  return { runs: times.length, seconds: (now - startedAt) / 1000, p50: times[times.length >> 1] ?? 0 };
}

/** Runs one process for each CPU; all are warm before any of them starts to count. */
async function loopInProcesses(argv: string[], count: number): Promise<Part[]> {
  const children = Array.from({ length: count }, () => fork(import.meta.filename, [...argv, '--child']));
  await Promise.all(children.map((child) => once(child, 'message')));
  const results = children.map(async (child) => (await once(child, 'message'))[0] as Part);
  for (const child of children) child.send('go');
  return Promise.all(results);
}

if (import.meta.main) {
  const argv = process.argv.slice(2);
  const { values } = parseArgs({
    args: argv,
    options: {
      model: { type: 'string', default: 'models/iris/model.onnx' },
      form: { type: 'string', default: 'processes' },
      seconds: { type: 'string', default: '5' },
      child: { type: 'boolean', default: false },
    },
  });
  const [seconds, cpus] = [Number(values.seconds), availableParallelism()];
  if (values.child) {
    const run = await warmRunner(values.model, 1);
    process.send?.('ready');
    await once(process, 'message');
    process.send?.(await loop(run, seconds));
    process.disconnect();
  } else {
    const parts =
      values.form === 'threads'
        ? [await loop(await warmRunner(values.model, cpus), seconds)]
        : await loopInProcesses(argv, cpus);
    const result: LoopResult = {
      form: values.form,
      runs: parts.reduce((sum, part) => sum + part.runs, 0),
      seconds: Math.max(...parts.map((part) => part.seconds)),
      rate: parts.reduce((sum, part) => sum + part.runs / part.seconds, 0),
      p50: Math.max(...parts.map((part) => part.p50)),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}
