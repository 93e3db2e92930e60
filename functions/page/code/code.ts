import { byId, copyText, el, urlOf } from '../dom.ts';
import { pathOf, type Target } from '../model.ts';
import { tokenNow } from '../session.ts';
import { type Language, sampleOf } from './samples.ts';

const LANGUAGES: readonly Language[] = ['curl', 'Python', 'TypeScript'];

/** Creates the tabs with the request as code; arrow keys select the next tab (ARIA Authoring Practices, "Tabs"). */
export function createCode(): { show(target: Target, features: string): void } {
  const tabs = LANGUAGES.map((language) =>
    el('button', { type: 'button', role: 'tab', id: `tab-${language}`, 'aria-controls': 'code-panel' }, language),
  );
  const shown = byId('code');
  const panel = byId('code-panel');
  const copied = byId('copied');
  let chosen = 0;
  let url = '';
  let body = '';

  function choose(index: number): void {
    chosen = index;
    for (const [i, tab] of tabs.entries()) {
      tab.setAttribute('aria-selected', String(i === chosen));
      tab.tabIndex = i === chosen ? 0 : -1;
    }
    panel.setAttribute('aria-labelledby', tabs[chosen]!.id);
    draw();
  }

  function draw(): void {
    shown.textContent = sampleOf(LANGUAGES[chosen]!, url, body, tokenNow() !== '');
    copied.textContent = '';
  }

  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(i));
    tab.addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step === undefined) return;
      choose((i + step + tabs.length) % tabs.length);
      tabs[chosen]!.focus();
    });
  }
  byId('tabs').append(...tabs);
  byId('copy').addEventListener('click', () => {
    void copyText(shown.textContent ?? '').then((done) => {
      copied.textContent = done ? 'Copied' : 'Press Ctrl+C to copy';
      if (!done) getSelection()?.selectAllChildren(shown);
    });
  });
  choose(0);
  return {
    show(target, features) {
      url = urlOf(pathOf(target, 'predict'));
      body = `{"features":${features}}`;
      draw();
    },
  };
}
