import type { RowIndependence } from '../../batching/row-independence.ts';
import { type Feeds, findMisfit, joinRows, keyOf } from '../../engine/batch-rows.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import { findDifference, sliceRows, syntheticTensor } from '../../tensor/compare.ts';
import type { Signature, Tensor, TensorSpec } from '../../tensor/tensor.ts';

/** Runs a model once: from a tensor for each input to one for each output, in the order of the signature. @throws RunError */
export type Run = (inputs: readonly JoinedTensor[]) => Promise<Tensor[]>;

/** Whether rows of different requests share runs. */
export interface BatchingDecision {
  readonly enabled: boolean;
  /** `guard`: a run whose outputs had not one row for each input row. */
  readonly decidedBy: 'proof' | 'trial' | 'manifest' | 'guard';
  /** A sentence for the operator of the service, without a full stop. */
  readonly reason: string;
}

/** The facts that decide whether rows share runs. */
export interface BatchingEvidence {
  readonly signature: Signature;
  /** `batching` of model.json, which overrides everything else. */
  readonly manifest: boolean | undefined;
  /** What the graph proves; undefined if it was not read. */
  readonly graph: RowIndependence | undefined;
  /** Valid rows from the model's files: golden rows and the example. */
  readonly known: readonly Feeds[];
  readonly run: Run;
}

const TOLERANCE = 1e-4;
const ROWS = 3;
/** A model that takes longer for a row is not tried: nine rows would delay the start too much. */
const SLOWEST_MS = 2000;
const WAY_OUT = 'to decide it, add golden.json with three rows, or set "batching" in model.json';

/**
 * Decides whether rows share runs: by the manifest, else by proof from the graph, else by a trial. Never rejects: a trial that
 * fails is a reason not to join rows.
 */
export async function decideBatching(evidence: BatchingEvidence): Promise<BatchingDecision> {
  const { graph, known, manifest, run, signature } = evidence;
  if (manifest !== undefined) {
    return { enabled: manifest, decidedBy: 'manifest', reason: `model.json sets "batching": ${manifest}` };
  }
  if (graph?.verdict === 'mixed') return { enabled: false, decidedBy: 'proof', reason: explain(graph) };
  const fixed = findFixedDimension(signature);
  if (fixed !== undefined) return { enabled: false, decidedBy: 'proof', reason: fixed };
  if (graph?.verdict === 'proved') {
    return { enabled: true, decidedBy: 'proof', reason: 'every operator of the graph keeps rows apart' };
  }
  const doubt = graph === undefined ? 'the graph was not read' : explain(graph);
  const trial = await tryJoinedRuns(run, trialRows(known));
  return { ...trial, decidedBy: 'trial', reason: `${doubt}; ${trial.reason}` };
}

/** Whether `decideBatching` may still find that rows share runs. */
export function mayBatch({ graph, manifest, signature }: Omit<BatchingEvidence, 'known' | 'run'>): boolean {
  return manifest ?? (findFixedDimension(signature) === undefined && graph?.verdict !== 'mixed');
}

function explain(graph: Exclude<RowIndependence, { verdict: 'proved' }>): string {
  const { node, operator, reason } = graph;
  return operator === undefined ? reason : `operator ${operator}, node ${node}: ${reason}`;
}

/** Names an input or output whose first dimension, that of the rows, is not free. Undefined if there is none. */
function findFixedDimension({ inputs, outputs }: Signature): string | undefined {
  if (inputs.length === 0) return 'the model has no inputs';
  const isFixed = ({ shape }: TensorSpec): boolean => shape[0] !== -1;
  const input = inputs.find(isFixed);
  if (input !== undefined) return `the first dimension of input ${input.name} is not free`;
  const output = outputs.find(isFixed);
  return output && `the first dimension of output ${output.name} is not free`;
}

/** Three distinct rows of one shape, or as many as there are. */
export function trialRows(known: readonly Feeds[]): Feeds[] {
  const rows: Feeds[] = [];
  for (const candidate of known) {
    if (rows.length === ROWS || rows.some((row) => sameFeeds(row, candidate))) continue;
    if (rows.length === 0 || keyOf(rows[0]!) === keyOf(candidate)) rows.push(candidate);
  }
  return rows;
}

/** A synthetic row; a free dimension is as long as in `like`, or 1. @param row rows of different numbers have different values */
export function syntheticRow({ inputs }: Signature, like: Feeds | undefined, row: number): Feeds {
  const tensors = inputs.map(({ dtype, shape }, i) =>
    syntheticTensor(
      dtype,
      shape.map((dim, d) => (dim === -1 ? (like?.tensors[i]?.dims[d] ?? 1) : dim)),
      row,
    ),
  );
  return { tensors, rows: 1 };
}

type Trial = Pick<BatchingDecision, 'enabled' | 'reason'>;

/**
 * Runs distinct rows alone, then joined in two orders, and compares the outputs. A difference proves that rows influence each
 * other; equality proves nothing. So only rows from the model's files are used, and their outputs must differ from row to row.
 * @param rows of one key, at least three
 */
export async function tryJoinedRuns(run: Run, rows: readonly Feeds[]): Promise<Trial> {
  if (rows.length < ROWS)
    return undecided(`a trial takes ${ROWS} distinct rows, and the model's files have ${rows.length}`);
  const alone: Tensor[][] = [];
  for (const row of rows) {
    const started = performance.now();
    try {
      alone.push(await run(joinRows([{ feeds: row, first: 0, rows: 1 }])));
    } catch (error) {
      return undecided(`a trial row failed (${(error as Error).message})`);
    }
    if (performance.now() - started > SLOWEST_MS) return undecided(`a row takes longer than ${SLOWEST_MS} ms`);
  }
  for (const outputs of alone) {
    const misfit = findMisfit(outputs, 1);
    if (misfit !== undefined) return { enabled: false, reason: misfit };
  }
  const pairs = [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const;
  if (!pairs.every(([a, b]) => areDistinct(alone[a]!, alone[b]!))) {
    return undecided('no output of floating-point numbers differs between the trial rows');
  }
  const forward = rows.map((_, i) => i);
  for (const order of [forward, forward.toReversed()]) {
    const refused = await compareJoined(run, rows, alone, order);
    if (refused !== undefined) return refused;
  }
  return { enabled: true, reason: `${ROWS} rows gave the same alone and joined` };
}

/** Whether a floating-point output differs. Labels and other integers may be equal by chance. */
function areDistinct(a: readonly Tensor[], b: readonly Tensor[]): boolean {
  return a.some(
    (tensor, i) => tensor.dtype.startsWith('float') && findDifference(tensor, b[i]!, TOLERANCE) !== undefined,
  );
}

/** Runs the rows joined in this order. @returns why they must not be joined; undefined if the outputs are those of each row alone */
async function compareJoined(
  run: Run,
  rows: readonly Feeds[],
  alone: readonly Tensor[][],
  order: readonly number[],
): Promise<Trial | undefined> {
  let joined: Tensor[];
  try {
    joined = await run(joinRows(order.map((i) => ({ feeds: rows[i]!, first: 0, rows: 1 }))));
  } catch (error) {
    return undecided(`joined trial rows failed (${(error as Error).message})`);
  }
  const misfit = findMisfit(joined, rows.length);
  if (misfit !== undefined) return { enabled: false, reason: misfit };
  for (const [o, output] of joined.entries()) {
    for (const [position, i] of order.entries()) {
      const difference = findDifference(alone[i]![o]!, sliceRows(output, position, 1), TOLERANCE);
      if (difference === undefined) continue;
      const { expected, got } = difference;
      return { enabled: false, reason: `output ${o} of a row is ${expected} alone, and ${got} beside other rows` };
    }
  }
  return undefined;
}

const sameFeeds = (a: Feeds, b: Feeds): boolean =>
  a.tensors.every((tensor, i) => findDifference(tensor!, b.tensors[i]!, 0) === undefined);

function undecided(why: string): Trial {
  return { enabled: false, reason: `${why}: ${WAY_OUT}` };
}
