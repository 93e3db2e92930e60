import { readGraph } from '../onnx/graph.ts';
import { openBytes } from '../onnx/wire.ts';
import { findRowIndependence, type RowIndependence } from './row-independence.ts';

/**
 * Reads the graph of a model file, and decides whether rows of different requests may share a run. Synchronous: a graph of
 * thousands of nodes takes some tens of milliseconds, however large its weights are.
 * @returns `unknown` also for a file that cannot be read as a model: `inspectModel` reports such a file.
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
