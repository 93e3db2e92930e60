import { copyText, el } from '../dom.ts';
import type { Failure } from '../failure.ts';
import { toJson } from '../json.ts';
import { type ModelInfo, nestedShape, type Prediction, shapeText } from '../model.ts';
import { pictureOf } from '../picture.ts';
import { cut, millisecondsText } from '../text.ts';
import { showBars } from './bars.ts';
import { type Lengths, lengthsOf } from './lengths.ts';
import { numberOf, type Scores, scoresOf } from './scores.ts';
import { plainOf, scoreText, shortNumber, titleOf } from './words.ts';

/** Most outputs with bars; the values of others are texts. */
const MOST_BARS = 4;
const LONGEST = 2000;
/** Characters of a value that is shown beside its name. */
const SHORT = 100;

/** The probability of a label, if an output has it. */
function shareOf(label: string | undefined, scores: readonly Scores[]): string | undefined {
  for (const one of scores) {
    const [best] = one.scores;
    if (one.areShares && best !== undefined && (label === undefined || best.name === label))
      return scoreText(one, best.value);
  }
  return undefined;
}

/** What a prediction was answered with. */
export interface Answered {
  /** The duration of the request. */
  readonly milliseconds: number;
  /** The text of the response. */
  readonly text: string;
}

/** The elements that show a prediction. */
export function showPrediction(model: ModelInfo, prediction: Prediction, { milliseconds, text }: Answered): Node[] {
  const scores = scoresOf(model, prediction).slice(0, MOST_BARS);
  const title = titleOf(model, prediction);
  const share = shareOf(prediction.label, scores);
  const lengths = lengthsOf(model, [prediction]);
  const rest = Object.entries(prediction.outputs).filter(
    ([name]) => !scores.some(({ output }) => output === name) && !lengths?.outputs.includes(name),
  );
  // The title is all of a lone output's value, unless that is too long for it.
  const isTold =
    rest.length === 1 && rest[0]![0] === model.output && prediction.label === undefined && isShort(rest[0]![1]);
  const short = isTold ? [] : rest.filter(([, value]) => textOf(value).length <= SHORT);
  const long = rest.filter(([, value]) => textOf(value).length > SHORT);
  return [
    showHead(title, share),
    showDuration(milliseconds),
    ...showLengths(lengths),
    ...scores.flatMap((one) => [el('h3', {}, nameOf(model, one)), showBars(one)]),
    ...(short.length === 0 ? [] : [showShort(short)]),
    ...long.flatMap(([name, value]) => showLong(name, value)),
    showResponse(text),
  ];
}

/** The scores of an answer are not the values of the output that they are made of. */
const nameOf = ({ answer, output: main }: ModelInfo, { output }: Scores): string =>
  answer !== undefined && answer.activation !== 'none' && output === main ? 'Scores' : output;

/** The prediction in large letters. @param share the probability beside it */
export const showHead = (title: string, share?: string): HTMLElement =>
  el(
    'div',
    { class: 'headline' },
    el('p', { class: title.length > 40 || title.startsWith('Tensor ') ? 'prediction long' : 'prediction' }, title),
    ...(share === undefined ? [] : [el('p', { class: 'share' }, share)]),
  );

/** The duration of the request. */
export const showDuration = (milliseconds: number): HTMLElement =>
  el('p', { class: 'muted' }, `Answered in ${millisecondsText(milliseconds)}`);

/** The paragraph that says it; none for a model that does not take texts. */
export const showLengths = (lengths: Lengths | undefined): Node[] =>
  lengths === undefined ? [] : [el('p', { class: lengths.isCut ? 'warning' : 'muted' }, lengths.words)];

type Output = readonly [name: string, value: unknown];

function isShort(value: unknown): boolean {
  const only = plainOf(value);
  if (Array.isArray(only)) return false;
  return typeof only === 'number' ? String(only) === shortNumber(only) : String(only).length <= 200;
}

function textOf(value: unknown): string {
  const only = plainOf(value);
  return typeof only === 'string' ? only : toJson(only ?? null);
}

const showShort = (outputs: readonly Output[]): HTMLElement =>
  el('dl', {}, ...outputs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, textOf(value))]));

function showLong(name: string, value: unknown): Node[] {
  const shape = nestedShape(value);
  const flat = shape.length > 1 ? [value].flat(64) : [];
  const picture = pictureOf(shape, (index) => numberOf(flat[index]) ?? 0, `The output ${name} as a picture`);
  const size = shape.length === 0 ? [] : [el('span', { class: 'hint' }, shapeText(shape))];
  const text = el('pre', { class: 'value', tabindex: '0', 'aria-label': name }, cut(textOf(value), LONGEST));
  return [el('div', { class: 'label' }, el('h3', {}, name), ...size), picture ?? text];
}

/** The response itself, folded. */
export function showResponse(text: string): HTMLElement {
  const copy = el('button', { type: 'button', class: 'quiet' }, 'Copy');
  copy.addEventListener('click', () => {
    void copyText(text).then((done) => {
      copy.textContent = done ? 'Copied' : 'Select the text and press Ctrl+C';
    });
  });
  const body = el('pre', { class: 'value', tabindex: '0', 'aria-label': 'Response' }, cut(text, 4 * LONGEST));
  return el('details', {}, el('summary', {}, 'Response as JSON'), body, copy);
}

/** The elements that show a failure. @param words its detail in the name of a field, if it is of one. */
export function showFailure({ message, detail }: Failure, words = detail): Node[] {
  return [el('p', { class: 'failure' }, message), ...(words === '' ? [] : [el('p', { class: 'detail' }, words)])];
}
