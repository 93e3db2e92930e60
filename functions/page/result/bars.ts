import { el } from '../dom.ts';
import { count } from '../text.ts';
import type { Score, Scores } from './scores.ts';
import { scoreText } from './words.ts';

/** The number of bars shown at first. */
const BARS = 10;
/** Characters of a name that has a line of its own. */
const LONG_NAME = 16;
/** Most bars that are added at once. */
const MORE = 100;

/** Bars of the highest scores, with a button for more. */
export function showBars(scores: Scores): HTMLElement {
  return createBars(scores.output, scores.scores, (value) => scoreText(scores, value), scores);
}

/** Bars of counts. */
export function showCounts(label: string, counts: readonly Score[]): HTMLElement {
  const high = counts.reduce((most, { value }) => Math.max(most, value), 1);
  return createBars(label, counts, count, { low: 0, high });
}

function createBars(
  label: string,
  scores: readonly Score[],
  textOf: (value: number) => string,
  scale: Pick<Scores, 'low' | 'high'>,
): HTMLElement {
  const isWide = scores.slice(0, BARS).some(({ name }) => name.length > LONG_NAME);
  const list = el('ul', { class: isWide ? 'bars' : 'bars narrow', 'aria-label': label });
  const more = el('button', { type: 'button', class: 'quiet' });
  let shown = 0;
  function add(number: number): void {
    const next = scores.slice(shown, shown + number);
    list.append(...next.map((score) => createBar(score, textOf(score.value), scale)));
    shown += next.length;
    const left = scores.length - shown;
    more.textContent = left === 0 ? '' : `Show more of ${count(left)} others`;
    more.hidden = left === 0;
  }
  more.addEventListener('click', () => {
    const first = shown;
    add(MORE);
    const item = list.children[first] as HTMLElement;
    item.tabIndex = -1;
    item.focus({ preventScroll: true });
  });
  add(BARS);
  return el('div', {}, list, more);
}

function createBar({ name, value }: Score, text: string, { low, high }: Pick<Scores, 'low' | 'high'>): HTMLElement {
  const fill = el('span', { class: value < 0 ? 'fill negative' : 'fill' });
  const within = Number.isNaN(value) ? 0 : Math.min(high, Math.max(low, value));
  const share = (part: number): string => `${((part / (high - low)) * 100).toFixed(2)}%`;
  // Set by a script, as the page's policy forbids style attributes.
  fill.style.width = share(Math.abs(within));
  fill.style.marginLeft = share(Math.min(0, within) - low);
  return el(
    'li',
    {},
    el('span', { class: 'bar-name', title: name }, name),
    el('span', { class: 'bar', 'aria-hidden': 'true' }, fill),
    el('span', { class: 'bar-value' }, text),
  );
}
