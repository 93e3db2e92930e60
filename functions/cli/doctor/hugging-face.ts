import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { printable } from '../terminal/format.ts';

/** What the files of a Hugging Face export say beside the model. */
export interface HuggingFaceExport {
  /** The folder with `config.json`: that of the model, or the one above it. */
  readonly folder: string;
  /** `model_type` of config.json: `bert`. */
  readonly type: string;
  /** `architectures` of config.json: `BertForSequenceClassification`. */
  readonly architecture: string | undefined;
  /** The labels by class index: `id2label` of config.json. Undefined if there are none but LABEL_0, LABEL_1, …, which say nothing. */
  readonly labels: readonly string[] | undefined;
  /** The files that a caller needs to turn text or pictures into the model's inputs. */
  readonly preprocessing: readonly string[];
}

const PREPROCESSING = [
  ...['tokenizer.json', 'tokenizer.model', 'spiece.model', 'sentencepiece.bpe.model', 'vocab.txt', 'vocab.json'],
  ...['preprocessor_config.json', 'feature_extractor.json'],
];
const MOST_BYTES = 2 ** 22;

/** Finds the files of an export of Hugging Face's optimum or transformers.js beside a model file, or in the folder above `onnx/`. */
export function findExport(modelFile: string): HuggingFaceExport | undefined {
  const folder = dirname(modelFile);
  for (const one of [folder, dirname(folder)]) {
    const config = readConfig(join(one, 'config.json'));
    const { model_type: type, architectures, id2label } = config ?? {};
    if (typeof type !== 'string') continue;
    return {
      folder: one,
      type: printable(type),
      architecture: Array.isArray(architectures) ? printable(String(architectures[0])) : undefined,
      labels: labelsOf(id2label),
      preprocessing: PREPROCESSING.filter((name) => existsSync(join(one, name))),
    };
  }
  return undefined;
}

function readConfig(path: string): Record<string, unknown> | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return text.length > MOST_BYTES ? undefined : (JSON.parse(text) as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

function labelsOf(id2label: unknown): string[] | undefined {
  if (typeof id2label !== 'object' || id2label === null) return undefined;
  const labels = Object.keys(id2label).map((_, i) => (id2label as Record<string, unknown>)[i]);
  const areNames = labels.length > 0 && labels.every((label) => typeof label === 'string');
  return areNames && !labels.every((label) => /^LABEL_\d+$/.test(label as string)) ? (labels as string[]) : undefined;
}
