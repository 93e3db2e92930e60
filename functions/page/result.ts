import { byId, count, cut, el } from './dom.ts';
import type { Failure } from './failure.ts';
import type { ModelInfo } from './fields.ts';
import { toJson } from './json.ts';
import { type Score, scoresOf } from './scores.ts';

/** A response of `/predict`. */
export interface Prediction {
  readonly prediction: unknown;
  readonly label?: string;
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** The number of bars shown at first: those of the highest scores. */
const BARS = 10;
const LONGEST = 2000;

const titleOf = ({ label, prediction }: Prediction): string => label ?? cut(toJson(prediction), 80);

/** The elements that show a prediction. @param milliseconds the duration of the request. */
export function showPrediction(model: ModelInfo, prediction: Prediction, milliseconds: number): Node[] {
  const found = scoresOf(model, prediction);
  const title = el('p', { class: 'prediction' }, titleOf(prediction));
  const duration = el('p', { class: 'muted' }, `Answered in ${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`);
  const rest = Object.entries(prediction.outputs).filter(([name]) => name !== found?.output);
  const list = el(
    'dl',
    { class: 'outputs' },
    ...rest.flatMap(([name, value]) => [
      el('dt', {}, name),
      el('dd', {}, el('code', { tabindex: '0' }, cut(toJson(value), LONGEST))),
    ]),
  );
  return [title, duration, ...(found === undefined ? [] : [bars(found.output, found.scores)]), list];
}

function bars(output: string, scores: readonly Score[]): HTMLElement {
  const sorted = scores.toSorted((a, b) => b.value - a.value);
  const list = el('ul', { class: 'bars', 'aria-label': output }, ...sorted.slice(0, BARS).map(bar));
  const left = sorted.slice(BARS);
  if (left.length === 0) return list;
  const more = el('button', { type: 'button', class: 'quiet' }, `Show ${left.length} more`);
  more.addEventListener('click', () => {
    list.append(...left.map(bar));
    more.remove();
  });
  return el('div', {}, list, more);
}

function bar({ name, value }: Score): HTMLElement {
  const fill = el('span', { class: 'fill' });
  // Set by a script, as the page's policy forbids style attributes.
  fill.style.width = `${(value * 100).toFixed(2)}%`;
  return el(
    'li',
    {},
    el('span', { class: 'bar-name' }, name),
    el('span', { class: 'bar', 'aria-hidden': 'true' }, fill),
    el('span', { class: 'bar-value' }, percent(value)),
  );
}

const percent = (value: number): string => `${(value * 100).toFixed(value > 0 && value < 0.001 ? 4 : 1)} %`;

/** The elements that show a failure. */
export function showFailure({ message, detail }: Failure): Node[] {
  return [el('p', { class: 'failure' }, message), ...(detail === '' ? [] : [el('p', { class: 'detail' }, detail)])];
}

/** Rows of the history. */
const KEPT = 10;

/** Creates the list of the last predictions, the newest first. @param onAgain called with the body of one that is to be filled in again. */
export function createHistory(onAgain: (body: string) => void): {
  add(body: string, prediction: Prediction, milliseconds: number): void;
} {
  const rows = byId<HTMLTableSectionElement>('history-rows');
  return {
    add(body, prediction, milliseconds) {
      const title = titleOf(prediction);
      const again = el('button', { type: 'button', class: 'quiet' }, 'Use again');
      again.setAttribute('aria-label', `Use again: ${title}`);
      again.addEventListener('click', () => onAgain(body));
      const input = cut(body.slice('{"features":'.length, -1), 120);
      rows.prepend(
        el(
          'tr',
          {},
          el('td', {}, new Date().toLocaleTimeString()),
          el('td', { class: 'input' }, el('code', {}, input)),
          el('td', { class: 'title' }, title),
          el('td', { class: 'number' }, `${count(Math.round(milliseconds * 10) / 10)} ms`),
          el('td', {}, again),
        ),
      );
      while (rows.rows.length > KEPT) rows.deleteRow(-1);
      byId('history').hidden = false;
    },
  };
}
