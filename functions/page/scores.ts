import type { ModelInfo } from './fields.ts';

/** The score of a class. */
export interface Score {
  readonly name: string;
  readonly value: number;
}

/**
 * Finds the output that has a score between 0 and 1 for each class: the main output, or else the first such one. If the model has no
 * names of classes, the scores must be two at least, and add up to 1.
 */
export function scoresOf(
  { classes, outputs, output }: Pick<ModelInfo, 'classes' | 'outputs' | 'output'>,
  { outputs: given }: { readonly outputs: Readonly<Record<string, unknown>> },
): { output: string; scores: Score[] } | undefined {
  const names = outputs.filter(({ dtype }) => dtype.startsWith('float')).map(({ name }) => name);
  names.sort((a, b) => Number(b === output) - Number(a === output));
  for (const name of names) {
    const values = given[name];
    if (!Array.isArray(values) || !values.every((value) => typeof value === 'number' && value >= 0 && value <= 1))
      continue;
    const sum = (values as number[]).reduce((total, value) => total + value, 0);
    if (classes === undefined ? values.length < 2 || Math.abs(sum - 1) > 0.01 : values.length !== classes.length)
      continue;
    return { output: name, scores: values.map((value, i) => ({ name: classes?.[i] ?? String(i), value })) };
  }
  return undefined;
}
