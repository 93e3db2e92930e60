import { readGraph } from '../onnx/graph.ts';
import { openBytes } from '../onnx/wire.ts';
import { findRowIndependence, type RowIndependence } from './row-independence.ts';

/**
 * What the graph of a model file says of its rows. Reads synchronously, for a process that serves nobody meanwhile: a graph of
 * thousands of nodes takes some tens of milliseconds, whatever its weights.
 * @returns `unknown` where the file cannot be followed; whether it is a model at all is asked elsewhere
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
