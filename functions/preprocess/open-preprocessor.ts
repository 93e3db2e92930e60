import type { Preparation } from '../engine/prepared/preparation.ts';
import { createPicturePreprocessor } from './pictures.ts';
import type { Preprocessor, PreprocessorOptions } from './preprocessor.ts';
import { createTextPreprocessor } from './texts.ts';
import { createTransformPreprocessor } from './transforms.ts';

/**
 * Starts the processes that prepare a model's inputs.
 * @throws ServingError `MODEL_FAILED` that names the file which does not load, such as `tokenizer.json`
 */
export function openPreprocessor(preparation: Preparation, options: PreprocessorOptions): Promise<Preprocessor> {
  if (preparation.kind === 'code') return createTransformPreprocessor(preparation, options);
  return preparation.kind === 'text'
    ? createTextPreprocessor(preparation, options)
    : createPicturePreprocessor(preparation, options);
}
