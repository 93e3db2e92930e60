import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { PicturePreparation } from '../../functions/engine/prepared/preparation.ts';
import type { ModelFiles } from '../../functions/model/folder/files.ts';
import type { EngineOptions, Generation } from '../../functions/model/serving/generation.ts';
import { loadGeneration } from '../../functions/model/serving/load-generation.ts';
import { readPictureSettings } from '../../functions/pictures/settings.ts';
import { engineOptions } from './engine-options.ts';
import { type RecordingTelemetry, recordTelemetry } from './telemetry.ts';

const REFS = join(import.meta.dirname, '../assets/refs');

/** The exports of test/assets/refs that take pictures. */
export type PictureModelName = 'image-classifier-resnet' | 'image-classifier-vit';

/** The bytes of a picture of test/assets/refs. */
export const pictureFile = (name: string): Buffer => readFileSync(join(REFS, 'images', name));

/** What the reference library gives for a picture. */
export interface ReferenceCase {
  readonly file: string;
  /** Absent for a picture that is refused. */
  readonly pil?: {
    readonly logits: readonly number[];
    readonly top5: readonly { readonly index: number; readonly label: string }[];
    readonly pixel_values: { readonly sha256_uint8_hwc: string };
  };
}

/** The pictures of test/assets/refs, with what the reference gives for a model. */
export const referenceCases = (model: PictureModelName): readonly ReferenceCase[] =>
  JSON.parse(readFileSync(join(REFS, `expected/${model}.json`), 'utf8')).cases;

/** How an export's pictures are prepared. */
export function picturePreparation(model: PictureModelName): PicturePreparation {
  const read = (name: string): string => readFileSync(join(REFS, 'models', model, name), 'utf8');
  const settings = readPictureSettings({
    preprocessor: read('preprocessor_config.json'),
    config: read('config.json'),
  });
  return { kind: 'picture', settings };
}

/** The files of an export. @param path of another `.onnx` file */
export function pictureFiles(
  model: PictureModelName,
  preparation: Partial<PicturePreparation> = {},
  path = join(REFS, 'models', model, 'model.onnx'),
): ModelFiles {
  return {
    name: 'm',
    version: '1',
    path,
    place: path,
    bytes: statSync(path).size,
    manifest: {},
    golden: undefined,
    preparation: { ...picturePreparation(model), ...preparation },
    stamps: undefined,
  };
}

/** Loads an export with its processes, for as long as the test. */
export async function loadPictures(
  t: Pick<TestContext, 'after'>,
  files: ModelFiles,
  options: Partial<EngineOptions> = {},
  telemetry: RecordingTelemetry = recordTelemetry(),
): Promise<Generation> {
  const generation = await loadGeneration(files, engineOptions(options), telemetry, () => {});
  t.after(() => generation.close());
  return generation;
}
