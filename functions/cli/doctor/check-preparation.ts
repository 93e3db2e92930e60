import type { Preparation } from '../../engine/prepared/preparation.ts';
import { describePreparation, placeOfValue } from '../../model/folder/export/describe.ts';
import type { ModelFiles } from '../../model/folder/files.ts';
import type { FileDescription } from './describe-file.ts';
import type { Finding } from './findings.ts';

/** What one should know of how a model's inputs are made from texts or pictures, or why they are not. */
export function checkPreparation(
  { preparation, notes = [] }: Pick<ModelFiles, 'preparation' | 'notes'>,
  file: Pick<FileDescription, 'outputs'>,
): Finding[] {
  const texts = preparation?.kind === 'text' ? [...textLimits(preparation), ...textPooling(preparation, file)] : [];
  const tensors = notes.map((note): Finding => {
    const [problem = note, fix] = note.split('; ');
    return { level: 'note', kind: 'tensors', problem, ...(fix !== undefined && { fix }) };
  });
  return [...texts, ...tensors];
}

/** The limits of an export are often left over from its training, or from another model. */
function textLimits({ settings }: Preparation & { readonly kind: 'text' }): Finding[] {
  const { lengths, maxLength } = settings;
  if (new Set(lengths.map(({ value }) => value)).size <= 1 || maxLength.file === 'model.json') return [];
  const limits = lengths.map((limit) => `${limit.value} by ${placeOfValue(limit)}`).join(', ');
  return [
    {
      level: 'warning',
      kind: 'text-limits',
      problem: `the files disagree on how many tokens a text may have: ${limits}; longer ones are cut off at ${maxLength.value}`,
      fix: 'if another limit is right, write "input": {"text": {"maxLength": …}} into model.json',
    },
  ];
}

/** Optimum exports a model of sentence-transformers without the files that say how it pools. */
function textPooling(
  { settings }: Preparation & { readonly kind: 'text' },
  { outputs }: Pick<FileDescription, 'outputs'>,
): Finding[] {
  if (settings.pooling?.file !== 'default' || outputs.some(({ name }) => name === 'sentence_embedding')) return [];
  const isNormalized = settings.normalize?.value === true;
  return [
    {
      level: 'warning',
      kind: 'text-pooling',
      problem: `no file says how tokens become an embedding: it is their mean, and ${isNormalized ? '' : 'not '}normalized`,
      fix: 'copy modules.json and 1_Pooling/config.json from the repository of the model, or write "input": {"text": {"pooling": …, "normalize": …}} into model.json',
    },
  ];
}

/** The values of a preparation as lines of a table: `max_length 96 (sentence_bert_config.json: max_seq_length)`. */
export function preparationFacts(preparation: Preparation): [title: string, value: string][] {
  const { kind, values } = describePreparation(preparation);
  const lines = Object.entries(values).map(([name, { value, from }]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return `${name} ${text} (${from})`;
  });
  const title = kind === 'code' ? kind : `${kind}s`;
  return lines.map((line, i) => [i === 0 ? title : '', line]);
}
