import { byId, el } from '../dom.ts';
import { cut, millisecondsText } from '../text.ts';

/** A prediction of the list. */
export interface Past {
  /** What was sent, for people. */
  readonly input: string;
  /** The `features`, as JSON; undefined if they are too large to be kept. */
  readonly features: string | undefined;
  readonly title: string;
  readonly milliseconds: number;
}

/** Rows of the list. */
const KEPT = 10;

/** Creates the list of the last predictions, the newest first. @param onAgain called with the features that are to be filled in again. */
export function createHistory(onAgain: (features: string) => void): { add(past: Past): void; clear(): void } {
  const rows = byId<HTMLTableSectionElement>('history-rows');
  return {
    add({ input, features, title, milliseconds }) {
      const again = el('button', { type: 'button', class: 'quiet' }, 'Use again');
      again.setAttribute('aria-label', `Use again: ${title}`);
      // Large inputs are not kept.
      if (features === undefined || features.length > 100_000) again.hidden = true;
      else again.addEventListener('click', () => onAgain(features));
      rows.prepend(
        el(
          'tr',
          {},
          el('td', {}, new Date().toLocaleTimeString()),
          el('td', { class: 'input' }, el('code', {}, cut(input, 120))),
          el('td', { class: 'title' }, cut(title, 120)),
          el('td', { class: 'number' }, millisecondsText(milliseconds)),
          el('td', {}, again),
        ),
      );
      while (rows.rows.length > KEPT) rows.deleteRow(-1);
      byId('history').hidden = false;
    },
    clear() {
      rows.replaceChildren();
      byId('history').hidden = true;
    },
  };
}
