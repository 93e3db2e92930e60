import { toJson } from '../json.ts';
import { type GoldenRow, type ModelInfo, nestedShape, type Prediction, shapeText } from '../model.ts';
import { cut } from '../text.ts';
import { type Scores, scoresOf } from './scores.ts';

/** A number in at most six digits. */
export const shortNumber = (value: number): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value).replace('Infinity', '∞');

function percent(share: number): string {
  if (share > 0 && share < 1e-6) return '< 0.0001 %';
  return `${share === 0 ? 0 : (share * 100).toFixed(share < 0.001 ? 4 : 1)} %`;
}

/** The text of a score. */
export const scoreText = (
  { areShares, arePercent = areShares }: Pick<Scores, 'areShares' | 'arePercent'>,
  value: number,
): string => (arePercent ? percent(value) : shortNumber(value));

/** A value without the brackets of a column. */
export const plainOf = (value: unknown): unknown => (Array.isArray(value) && value.length === 1 ? value[0] : value);

/** A value in a few words: that of a column without its brackets, and of a large tensor its shape. */
export function summaryOf(value: unknown): string {
  const only = plainOf(value);
  if (typeof only === 'string') return cut(only, 200);
  if (!Array.isArray(only)) return typeof only === 'number' ? shortNumber(only) : toJson(only ?? null);
  const text = toJson(only);
  return text.length <= 60 ? text : `Tensor ${shapeText(nestedShape(value))}`;
}

/** The prediction in a few words. */
export function titleOf(model: ModelInfo, prediction: Prediction): string {
  if (prediction.label !== undefined) return prediction.label;
  if (prediction.scores !== undefined) return answerText(prediction.prediction);
  const [main] = scoresOf(model, prediction);
  if (main === undefined || main.output !== model.output) return summaryOf(prediction.prediction);
  const [best] = main.scores;
  if (main.areShares) return best!.name;
  return main.scores.length <= 3
    ? main.scores.map(({ value }) => shortNumber(value)).join(', ')
    : `${main.scores.length} values`;
}

/** The labels of an answer: one, or those that hold. */
function answerText(labels: unknown): string {
  const all = [labels ?? []].flat();
  return all.length === 0 ? 'No label' : all.join(', ');
}

/** The expected prediction in a few words: the class, if the manifest names the classes. Undefined if the main output is not given. */
export function expectedOf(model: ModelInfo, { outputs }: GoldenRow): string | undefined {
  const prediction = outputs[model.output ?? ''];
  const label = labelOf(model, prediction, outputs);
  if (label === undefined && prediction === undefined) return undefined;
  return titleOf(model, { prediction, outputs, ...(label !== undefined && { label }) });
}

function labelOf(model: ModelInfo, value: unknown, outputs: Prediction['outputs']): string | undefined {
  const { classes } = model;
  if (classes === undefined) return undefined;
  const only = plainOf(value);
  if (typeof only === 'number' || typeof only === 'bigint') return classes[Number(only)];
  const [scores] = scoresOf(model, { outputs });
  return scores?.output === model.output && scores?.scores.length === classes.length
    ? scores.scores[0]!.name
    : undefined;
}
