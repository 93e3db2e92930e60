import { byId, count, cut, el } from './dom.ts';
import { type Prediction, titleOf } from './result.ts';

const KEPT = 10;

/** The last predictions, the newest first, each of which can be filled in again. */
export function createHistory(onAgain: (body: string) => void): {
  add(body: string, answer: Prediction, milliseconds: number): void;
} {
  const rows = byId<HTMLTableSectionElement>('history-rows');
  return {
    add(body, answer, milliseconds) {
      const title = titleOf(answer);
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
