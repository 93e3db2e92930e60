import type { Entry } from '../../sources/source.ts';

/** The names of the files that say how texts and pictures become the inputs of a model. */
export const TOKENIZER_FILE = 'tokenizer.json';
export const PREPROCESSOR_FILE = 'preprocessor_config.json';

/** The most bytes of `tokenizer.json`, which a process of its own parses: those of 250,000 tokens have 17 MB. */
const TOKENIZER_BYTES = 64 * 2 ** 20;
/** The most bytes of the other files, which are parsed while requests are served: one with 22,000 labels has 2 MB. */
const SETTINGS_BYTES = 4 * 2 ** 20;

/** The files of a Hugging Face export that are read, by path below its folder, beside {@link POOLING_FILE}. */
export const EXPORT_FILES = [
  TOKENIZER_FILE,
  PREPROCESSOR_FILE,
  'config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
] as const;

/** The path of the pooling's settings below the folder of a sentence-transformers export: its place in `modules.json`, and its kind. */
const POOLING_FILE = /^\d{1,3}_\w*Pool\w*\/config\.json$/;
/** That of most exports. */
export const USUAL_POOLING_FILE = '1_Pooling/config.json';

/** The most bytes that a file of an export may have. */
export const exportBytes = (path: string): number => (path === TOKENIZER_FILE ? TOKENIZER_BYTES : SETTINGS_BYTES);

/** Whether a folder has an export's files for texts or pictures. */
const hasExport = (siblings: ReadonlyMap<string, unknown>): boolean =>
  siblings.has(TOKENIZER_FILE) || siblings.has(PREPROCESSOR_FILE);

/**
 * The paths of an export's files that a load reads, of those listed beside a model. None without a `tokenizer.json` or a
 * `preprocessor_config.json`: a `config.json` alone may be of another program.
 */
export function exportPaths(siblings: ReadonlyMap<string, unknown>): string[] {
  if (!hasExport(siblings)) return [];
  const pooling = siblings.has('modules.json') ? [...siblings.keys()].filter((path) => POOLING_FILE.test(path)) : [];
  return [...EXPORT_FILES, ...pooling].filter((path) => siblings.has(path));
}

/** Those files as they were listed, without those that are too large: one that is needed fails the model. */
export function exportParts(siblings: ReadonlyMap<string, Entry>): [path: string, entry: Entry][] {
  return exportPaths(siblings).flatMap((path) => {
    const entry = siblings.get(path)!;
    return entry.bytes > exportBytes(path) ? [] : [[path, entry] as [string, Entry]];
  });
}
