import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../../functions/engine/batcher.ts';
import type { TextPreparation } from '../../functions/engine/prepared/preparation.ts';
import type { ServingError } from '../../functions/errors.ts';
import type { ModelFiles } from '../../functions/model/folder/files.ts';
import type { EngineOptions, Generation } from '../../functions/model/serving/generation.ts';
import { loadGeneration } from '../../functions/model/serving/load-generation.ts';
import type { PreprocessOptions } from '../../functions/preprocess/preprocessor.ts';
import type { Signature, Tensor } from '../../functions/tensor/tensor.ts';
import { readTextSettings } from '../../functions/text/settings.ts';
import { REFS } from '../text/refs.ts';
import { engineOptions } from './engine-options.ts';
import { type RecordingTelemetry, recordTelemetry } from './telemetry.ts';

/** A reference model, changed. */
export interface ChangedModel {
  /** Replaces what the reference model's files say. */
  readonly settings?: Partial<TextPreparation['settings']>;
  readonly preparation?: Partial<Omit<TextPreparation, 'kind' | 'settings'>>;
  readonly files?: Partial<ModelFiles>;
  readonly engine?: Partial<EngineOptions>;
}

/** How the texts of a reference model are prepared, read from its files. */
export function preparationOf(model: string, { settings, preparation }: ChangedModel = {}): TextPreparation {
  const folder = join(REFS, 'models', model);
  const names = globSync('**/*.json', { cwd: folder });
  const texts = new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const));
  return {
    kind: 'text',
    settings: { ...readTextSettings(texts), ...settings },
    tokenizer: join(folder, 'tokenizer.json'),
    place: `${model}/tokenizer.json`,
    specialNames: 'token',
    ...preparation,
  };
}

/** The files of a reference model, as a load has them. */
export function textFiles(model: string, changed: ChangedModel = {}): ModelFiles {
  const folder = join(REFS, 'models', model);
  return {
    name: model,
    version: '1',
    path: join(folder, globSync('**/*.onnx', { cwd: folder })[0]!),
    place: `${model}/model.onnx`,
    bytes: 1_000_000,
    manifest: {},
    golden: undefined,
    stamps: undefined,
    preparation: preparationOf(model, changed),
    ...changed.files,
  };
}

/** A reference model in real processes. It is closed after the test. */
export async function loadText(
  t: { after(close: () => Promise<void>): void },
  model: string,
  changed: ChangedModel = {},
  telemetry: RecordingTelemetry = recordTelemetry(),
): Promise<Generation> {
  const options = engineOptions({ maxQueueSize: 1000, ...changed.engine });
  const generation = await loadGeneration(textFiles(model, changed), options, telemetry, () => {});
  t.after(() => generation.close());
  return generation;
}

/** A string tensor with a row for each text. */
export const stringTensor = (texts: readonly string[]): Tensor => ({
  dtype: 'string',
  dims: [texts.length],
  data: [...texts],
});

/** The outputs of a row, by name; arrays without the dimension of the rows. */
export type RowOutputs = Readonly<Record<string, readonly (number | string)[]>>;

/** Sends texts as one request. @returns the outputs or the error of each */
export async function predictTexts(
  { predict, signature }: Pick<Generation, 'predict' | 'signature'>,
  texts: readonly string[],
  { pairs, ...options }: PreprocessOptions & { pairs?: readonly string[] } = {},
): Promise<(RowOutputs | ServingError)[]> {
  const tensors = [stringTensor(texts), ...(pairs === undefined ? [] : [stringTensor(pairs)])];
  return rowsOf(await predict({ tensors, rows: texts.length }, { cancelled: false }, options), signature);
}

/** The outputs or the error of each row of some outcomes. */
export function rowsOf(outcomes: readonly Outcome[], { outputs: specs }: Signature): (RowOutputs | ServingError)[] {
  return outcomes.flatMap((outcome) =>
    Array.from({ length: outcome.rows }, (_, row) => {
      if ('error' in outcome) return outcome.error;
      return Object.fromEntries(
        specs.map(({ name }, slot) => {
          const { dims, data } = outcome.outputs[slot]!;
          const size = data.length / dims[0]!;
          const at = (outcome.first + row) * size;
          return [name, Array.from(data.slice(at, at + size) as Int32Array)] as const;
        }),
      );
    }),
  );
}
