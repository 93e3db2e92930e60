/** The engine process: holds one onnxruntime session, and runs it. */
import type { RowIndependence } from '../../batching/row-independence.ts';
import { prepareSession } from '../prepared/prepared-session.ts';
import type { Loaded } from './engine-process.ts';
import { checkStamp, openFiles } from './file-stamp.ts';
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
  const checkAll = (): void => {
    for (const [path, stamp] of stamps) checkStamp(path, stamp);
  };
  checkAll();
  /** The files that the session maps, if others can write to them. */
  const files = openFiles(stamps.map(([path]) => path));
  const { signature, patched, external, weights, run } = prepareSession(
    await openSession(order.path, order),
    order.preparation,
  );
  checkAll();
  const rows = order.findsRowIndependence === true ? await rowIndependenceOf(order.path) : undefined;
  return {
    loaded: { signature, patched, external, weights, rows } satisfies Loaded,
    run,
    afterRun: () => {
      if (weights.mappedBytes > 0 && files.areChanged()) endItself();
    },
  };
}

// onnxruntime's telemetry is on by default since 1.29. The library reads this when it loads.
process.env.ORT_DISABLE_TELEMETRY = '1';
// Loaded before the order arrives: loading the library takes longer than reading the settings takes the parent.
loadRuntime();
await serveFrames((order) => load(order as LoadOrder));
