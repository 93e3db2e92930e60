import { type Feeds, joinRows } from '../../engine/batch-rows.ts';
import { ServingError } from '../../errors.ts';
import { type BatchingDecision, decideBatching } from '../../model/serving/batching-decision.ts';
import { listNames } from '../../shorten.ts';
import type { Signature, Tensor } from '../../tensor/tensor.ts';
import { collectDifferences, type OutputDifference } from './differences.ts';
import { type ModelProcess, openModelProcess } from './model-process.ts';
import { measureRunTimes } from './run-time.ts';
import { classesOf, findClassOutput } from './top-class.ts';

/** What a model costs, and whether the server joins its rows. */
export interface ModelFigures {
  /** Bytes of the file and of its external data. */
  readonly bytes: number;
  /** Median milliseconds of a run of one row, on `threads` threads, with the transfer to the engine process and back. */
  readonly runMs: number;
  /** Whether the server runs rows of different requests together, unless model.json decides it. */
  readonly joining: BatchingDecision;
}

/** Two models over the same rows. */
export interface Comparison {
  readonly rows: number;
  /** For a classifier: for how many of the rows both models give the same class, by which output. */
  readonly agreement?: { readonly output: string; readonly equal: number; readonly of: number; readonly share: number };
  /** An entry for each output that both models have, in the order of the original. */
  readonly outputs: readonly OutputDifference[];
  /** Outputs of the original that the result does not have. */
  readonly missing: readonly string[];
  readonly original: ModelFigures;
  readonly result: ModelFigures;
}

/** How two models are compared. */
export interface ComparisonOptions {
  /** Paths of the `.onnx` files. */
  readonly original: string;
  readonly result: string;
  /** Feeds of one row each, in the order of the original's signature: at least one. */
  readonly rows: readonly Feeds[];
  /** The main output of model.json: that of the classes. */
  readonly mainOutput?: string | undefined;
  /** Threads of each engine process for one operator. Default: 1. */
  readonly threads?: number;
  /** Called after each row, with the number of rows that are compared. */
  readonly onRow?: (compared: number) => void;
}

/**
 * Runs each row alone through both models, in an engine process each, and compares the outputs by name.
 * @throws ServingError `MODEL_FAILED` if a model does not load, has other inputs than the original, or fails on a row
 */
export async function compareModels(options: ComparisonOptions): Promise<Comparison> {
  const { original: originalPath, result: resultPath, threads = 1, rows } = options;
  const opened: ModelProcess[] = [];
  const open = async (path: string): Promise<ModelProcess> => {
    const model = await openModelProcess(path, { threads });
    opened.push(model);
    return model;
  };
  try {
    const original = await open(originalPath);
    const result = withInputsOf(original.signature, await open(resultPath), resultPath);
    const differences = await compareRows(original, result, options);
    const [originalMs, resultMs] = await measureRunTimes([original, result], rows);
    return {
      ...differences,
      original: await figuresOf(original, rows, originalMs!),
      result: await figuresOf(result, rows, resultMs!),
    };
  } finally {
    for (const model of opened) model.close();
  }
}

/**
 * The result, with its inputs in the order of the original.
 * @throws ServingError if its inputs have other names or dtypes
 */
function withInputsOf({ inputs }: Signature, model: ModelProcess, path: string): ModelProcess {
  const { signature, run } = model;
  const describe = (specs: Signature['inputs']): string[] => specs.map(({ name, dtype }) => `${name} (${dtype})`);
  const [expected, given] = [describe(inputs), describe(signature.inputs)];
  if (expected.toSorted().join() !== given.toSorted().join()) {
    throw new ServingError(
      'MODEL_FAILED',
      `${path}: its inputs are ${listNames(given)}, and those of the original are ${listNames(expected)}: compare models with the same inputs`,
    );
  }
  const slots = inputs.map(({ name }) => signature.inputs.findIndex((input) => input.name === name));
  return {
    ...model,
    signature: { ...signature, inputs },
    run: (feeds) => run(feeds.map((input) => ({ ...input, slot: slots[input.slot]! }))),
  };
}

/** Runs the rows, each alone, through both models at the same time. */
async function compareRows(
  original: ModelProcess,
  result: ModelProcess,
  options: ComparisonOptions,
): Promise<Omit<Comparison, 'original' | 'result'>> {
  const { rows, mainOutput, onRow } = options;
  const { outputs } = original.signature;
  /** The slot of each output in the result; -1 for one that it does not have. */
  const slots = outputs.map(({ name }) => result.signature.outputs.findIndex((output) => output.name === name));
  const classOutput = findClassOutput(original.signature, mainOutput);
  const collectors = outputs.map(collectDifferences);
  const classes = { equal: 0, of: 0 };
  for (const [i, feeds] of rows.entries()) {
    const [expected, got] = await Promise.all([
      runRow(original, feeds, options.original, i),
      runRow(result, feeds, options.result, i),
    ]);
    for (const [slot, tensor] of expected.entries()) {
      const other = got[slots[slot]!];
      if (other === undefined) continue;
      collectors[slot]!.add(tensor, other);
      if (outputs[slot]!.name !== classOutput?.name) continue;
      const [labels, others] = [classesOf(tensor, classOutput.kind), classesOf(other, classOutput.kind)];
      classes.of += labels.length;
      classes.equal += labels.filter((label, row) => label === others[row]).length;
    }
    onRow?.(i + 1);
  }
  return {
    rows: rows.length,
    ...(classes.of > 0 && {
      agreement: { output: classOutput!.name, ...classes, share: classes.equal / classes.of },
    }),
    outputs: collectors.filter((_, slot) => slots[slot] !== -1).map((collector) => collector.summary()),
    missing: outputs.filter((_, slot) => slots[slot] === -1).map(({ name }) => name),
  };
}

async function runRow({ run }: ModelProcess, feeds: Feeds, path: string, index: number): Promise<Tensor[]> {
  try {
    return await run(joinRows([{ feeds, first: 0, rows: feeds.rows }]));
  } catch (cause) {
    throw new ServingError('MODEL_FAILED', `${path}: row ${index}: ${(cause as Error).message}`, { cause });
  }
}

async function figuresOf(
  { bytes, signature, graph, run }: ModelProcess,
  rows: readonly Feeds[],
  runMs: number,
): Promise<ModelFigures> {
  const joining = await decideBatching({ signature, manifest: undefined, graph, known: rows, run });
  return { bytes, runMs, joining };
}
