import type { PicturePreparation } from '../engine/prepared/preparation.ts';
import { ServingError } from '../errors.ts';
import type { Preprocessor, PreprocessorOptions } from './preprocessor.ts';

export async function createPicturePreprocessor(
  _preparation: PicturePreparation,
  _options: PreprocessorOptions,
): Promise<Preprocessor> {
  throw new ServingError('UNSUPPORTED', 'pictures');
}
