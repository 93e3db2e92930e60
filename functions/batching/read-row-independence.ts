import { readGraph } from '../onnx/graph.ts';
import { openBytes } from '../onnx/wire.ts';
import { findRowIndependence, type RowIndependence } from './row-independence.ts';

/**
 * Whether rows of a model may share a run, as the graph of its file says. Reads synchronously: a graph of thousands of nodes takes
 * some tens of milliseconds, whatever its weights.
 * @returns `unknown` also for a file that cannot be read as a model: `inspectModel` reports that.
 */
export function readRowIndependence(path: string): RowIndependence {
  try {
    const bytes = openBytes(path);
    try {
      return findRowIndependence(readGraph(bytes));
    } finally {
      bytes.close();
    }
  } catch (error) {
    return { verdict: 'unknown', reason: `the graph could not be followed: ${(error as Error).message}` };
  }
}
