/** The engine process: holds one onnxruntime session, and runs it. */
import type { RowIndependence } from '../../batching/row-independence.ts';
import { prepareSession } from '../prepared/prepared-session.ts';
import type { Loaded } from './engine-process.ts';
import { checkStamps, openFiles } from './file-stamp.ts';
import { type LoadedProgram, serveFrames } from './frame-loop.ts';
import { loadRuntime } from './runtime.ts';
import { type LoadOrder, openSession } from './session.ts';

async function rowIndependenceOf(path: string): Promise<RowIndependence> {
  const { readRowIndependence } = await import('../../batching/read-row-independence.ts');
  return readRowIndependence(path);
}

/** Ends a process whose results may be wrong. By a signal, as if from outside: the rows of the run are not the cause. */
function endItself(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal may arrive a moment later.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

async function load(order: LoadOrder): Promise<LoadedProgram> {
  const stamps = order.stamps ?? [];
  checkStamps(stamps);
  const files = openFiles(stamps);
  const { signature, patched, external, weights, run } = prepareSession(
    await openSession(order.path, order),
    order.preparation,
  );
  checkStamps(stamps);
  // What is written to the model's own file does not reach a session of compiled weights.
  const mapped = weights.use === 'compiled' ? openFiles(order.compiled!.stamps) : files;
  const rows = order.findsRowIndependence === true ? await rowIndependenceOf(order.path) : undefined;
  return {
    loaded: { signature, patched, external, weights, rows } satisfies Loaded,
    run,
    afterRun: () => {
      if ((weights.use === 'compiled' || weights.mappedBytes > 0) && mapped.areChanged()) endItself();
    },
  };
}

// onnxruntime's telemetry is on by default since 1.29. The library reads this when it loads.
process.env.ORT_DISABLE_TELEMETRY = '1';
// Loaded before the order arrives: loading the library takes longer than reading the settings takes the parent.
loadRuntime();
await serveFrames((order) => load(order as LoadOrder));
