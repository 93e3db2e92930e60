import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Feeds } from '../../engine/batch-rows.ts';
import { ServingError } from '../../errors.ts';
import { outputOf } from '../../model/folder/manifest.ts';
import { openModel } from '../../onnx/edit/open-model.ts';
import { type WrittenModel, writeModel } from '../../onnx/edit/write-model.ts';
import { type Comparison, compareModels } from '../compare/compare-models.ts';
import { openModelProcess } from '../compare/model-process.ts';
import { stage } from '../edited/target.ts';
import type { LocalModel } from '../samples/local-model.ts';
import { readSamples } from '../samples/samples.ts';
import { formatBytes, formatNumberOf } from '../terminal/format.ts';
import type { Progress } from '../terminal/progress.ts';
import type { Mode, ModeReport } from './mode.ts';
import { type NodePatterns, selectNodes } from './selection.ts';

/** What to quantize, and how. */
export interface QuantizeOrder {
  /** The `.onnx` file, or a folder with one model. */
  readonly model: LocalModel;
  readonly mode: Mode;
  readonly patterns: NodePatterns;
  /** The path of the result. */
  readonly output: string;
  /** Whether weights go into a file of their own; undefined: as the model has them. */
  readonly externalData: boolean | undefined;
  /** Rows to compare with. Undefined: the result is not compared. */
  readonly rows: readonly Feeds[] | undefined;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** See `VerbContext`. */
  onEnd(cleanUp: () => unknown): void;
}

/** A model and its quantized form. */
export interface QuantizedModel {
  readonly report: ModeReport;
  readonly written: WrittenModel;
  readonly comparison: Comparison | undefined;
}

/**
 * Quantizes a model, checks that the result loads, compares it with the original, and writes it.
 * @throws ServingError that says what to do; then nothing is written
 */
export async function quantizeModel(order: QuantizeOrder): Promise<QuantizedModel> {
  const { output, rows, signal, progress } = order;
  const staging = await stage(output, order.onEnd);
  const { report, written } = await writeQuantized(order, staging.path);
  signal.throwIfAborted();
  progress.step('loading the result');
  try {
    (await openModelProcess(staging.path, { weights: 'mapped' })).close();
  } catch (error) {
    const message = (error as Error).message.replaceAll(staging.path, output);
    throw new ServingError('MODEL_FAILED', `the result does not load, and was not written: ${message}`, {
      cause: error,
    });
  }
  signal.throwIfAborted();
  const comparison = rows && (await compare(order, staging.path, rows));
  await staging.publish();
  const files = written.files.map((file) => join(dirname(output), file.slice(staging.folder.length + 1)));
  return { report, written: { ...written, files }, comparison };
}

function compare({ model, signal, progress }: QuantizeOrder, result: string, rows: readonly Feeds[]) {
  progress.step('comparing');
  return compareModels({
    original: model.path,
    result,
    rows,
    mainOutput: outputOf(model.manifest).name,
    onRow(done) {
      signal.throwIfAborted();
      progress.update(done, rows.length, formatNumberOf(done, 'row'));
    },
  });
}

/** What the messages hold is free once the result is written. */
async function writeQuantized(order: QuantizeOrder, path: string): Promise<Pick<QuantizedModel, 'report' | 'written'>> {
  const { model, mode, patterns, output, externalData, signal, progress } = order;
  const editable = openModel(model.path);
  const isSelected = selectNodes(editable.proto, patterns);
  let step = '';
  const report = await mode.run(editable, { isSelected, signal }, (title, done, total) => {
    if (title !== step) progress.step(title);
    step = title;
    progress.update(done, total);
  });
  progress.step(`writing ${output}`);
  const written = await writeModel(editable, path, {
    ...(externalData !== undefined && { externalData }),
    signal,
    onProgress: (done, total) => progress.update(done, total, `${formatBytes(done)} of ${formatBytes(total)}`),
  });
  return { report, written };
}

/**
 * The rows to compare with: those of a file of samples, else of golden.json beside the model, else the example of model.json.
 * @param samples the file that the user named
 * @returns undefined if there is none
 * @throws ServingError `INVALID_INPUT` for a row that is not one of the model
 */
export async function readRows(
  { path, folder, manifest, golden }: LocalModel,
  samples: string | undefined,
  most: number,
): Promise<Feeds[] | undefined> {
  const own = golden !== undefined ? 'golden.json' : manifest.example !== undefined ? 'model.json' : undefined;
  const file = samples ?? (own === undefined ? undefined : `${folder}/${own}`);
  if (file === undefined) return undefined;
  const { signature, close } = await openModelProcess(path, { weights: 'mapped' });
  close();
  const form = { signature, names: manifest.input?.features, joinsRows: false };
  return [...readSamples(file, form, most)].map(({ feeds }) => feeds);
}

/** @throws ServingError `INVALID_INPUT` for a result in place of the model, of a file that may not be replaced, or in no folder */
export function checkOutput(output: string, { path }: LocalModel, isForced: boolean): void {
  if (existsSync(output) && realpathSync(output) === realpathSync(path))
    throw new ServingError('INVALID_INPUT', `${output}: the result would replace the model: give another --output`);
  if (!existsSync(dirname(resolve(output))))
    throw new ServingError('INVALID_INPUT', `${output}: its folder does not exist: create it, or name another file`);
  // External data of the result gets the second name.
  const taken = isForced ? undefined : [output, `${output}.data`].find((file) => existsSync(file));
  if (taken !== undefined)
    throw new ServingError('INVALID_INPUT', `${taken} exists: give another --output, or --force`);
}
