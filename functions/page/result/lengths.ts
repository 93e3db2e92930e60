import type { ModelInfo, Prediction } from '../model.ts';
import { count } from '../text.ts';
import { plainOf } from './words.ts';

/** How long texts are for the model. */
export interface Lengths {
  /** The outputs that say it. */
  readonly outputs: readonly string[];
  /** For people. */
  readonly words: string;
  /** Whether a part of a text was not read. */
  readonly isCut: boolean;
}

/** How many tokens the texts of predictions have, and whether they were cut off; undefined for a model that does not take texts. */
export function lengthsOf(
  { preparation }: Pick<ModelInfo, 'preparation'>,
  predictions: readonly Pick<Prediction, 'outputs'>[],
): Lengths | undefined {
  if (preparation?.kind !== 'text') return undefined;
  const tokens = predictions.map(({ outputs }) => Number(plainOf(outputs.tokens)));
  const cut = tokens.filter((_, i) => plainOf(predictions[i]!.outputs.truncated) === true);
  const own = ['tokens', 'truncated'];
  if (cut.length === 0) {
    return { outputs: own, words: `${listOf(tokens)} tokens`, isCut: false };
  }
  const isLeft = preparation.truncation_side?.value === 'left';
  const [end, kept] = isLeft ? ['beginning', 'last'] : ['end', 'first'];
  const what = predictions.length === 1 ? 'The text is' : `${cut.length} of ${predictions.length} texts are`;
  const words = `${what} too long for the model: it reads the ${kept} ${count(cut[0]!)} tokens, and the ${end} is cut off.`;
  return { outputs: own, words, isCut: true };
}

/** At most a few numbers. */
const listOf = (numbers: readonly number[]): string =>
  numbers.length > 2
    ? `${count(Math.min(...numbers))} to ${count(Math.max(...numbers))}`
    : numbers.map(count).join(' and ');
