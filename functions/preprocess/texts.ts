import type { TextPreparation } from '../engine/prepared/preparation.ts';
import { ServingError } from '../errors.ts';
import type { Preprocessor, PreprocessorOptions } from './preprocessor.ts';

export async function createTextPreprocessor(
  _preparation: TextPreparation,
  _options: PreprocessorOptions,
): Promise<Preprocessor> {
  throw new ServingError('UNSUPPORTED', 'texts');
}
