import { byId, copyText, el, urlOf } from '../dom.ts';
import { parseJson } from '../json.ts';
import type { Sent } from '../media/sent.ts';
import { type ModelInfo, pathOf, type Target, taskOf } from '../model.ts';
import { tokenNow } from '../session.ts';
import { type EmbeddingRequest, openAiSampleOf } from './openai-sample.ts';
import { pictureSampleOf } from './picture-samples.ts';
import { type Language, sampleOf } from './samples.ts';

const OPENAI = 'OpenAI';
const TABS: readonly (Language | typeof OPENAI)[] = ['curl', 'Python', 'TypeScript', OPENAI];

/** The request that is shown. */
interface Request {
  readonly url: string;
  readonly sent: Sent;
  /** What OpenAI's client would send; undefined unless the model has it. */
  readonly openAi: EmbeddingRequest | undefined;
}

/** The model that a request is for. */
interface Addressed {
  readonly model: ModelInfo;
  readonly target: Target;
}

/** Creates the tabs with the request as code; arrow keys select the next tab (ARIA Authoring Practices, "Tabs"). */
export function createCode(): { show(to: Addressed, sent: Sent): void } {
  const tabs = TABS.map((language) =>
    el('button', { type: 'button', role: 'tab', id: `tab-${language}`, 'aria-controls': 'code-panel' }, language),
  );
  const shown = byId('code');
  const panel = byId('code-panel');
  const copied = byId('copied');
  let chosen = 0;
  let request: Request | undefined;

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
    shown.textContent = request === undefined ? '' : codeOf(TABS[chosen]!, request);
    copied.textContent = '';
  }

  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(i));
    tab.addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step === undefined) return;
      const visible = tabs.filter(({ hidden }) => hidden !== true).length;
      choose((i + step + visible) % visible);
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
    show(to, sent) {
      const url = urlOf(pathOf(to.target, sent.kind === 'rows' ? 'batch_predict' : 'predict'));
      request = { url, sent, openAi: openAiOf(to, sent) };
      // The last tab.
      tabs.at(-1)!.hidden = request.openAi === undefined;
      if (tabs[chosen]!.hidden === true) choose(0);
      else draw();
    },
  };
}

/** OpenAI's API names models, and no versions. */
function openAiOf({ model, target }: Addressed, sent: Sent): EmbeddingRequest | undefined {
  if (taskOf(model) !== 'embedding' || sent.kind === 'picture' || target.version !== undefined) return undefined;
  const rows = sent.kind === 'row' ? [sent.features] : sent.rows;
  return { url: urlOf('v1'), model: target.name ?? model.name, texts: rows.map((row) => String(parseJson(row))) };
}

function codeOf(tab: Language | typeof OPENAI, { url, sent, openAi }: Request): string {
  const hasToken = tokenNow() !== '';
  if (tab === OPENAI) return openAi === undefined ? '' : openAiSampleOf(openAi, hasToken);
  if (sent.kind === 'picture') return pictureSampleOf({ language: tab, url, hasToken }, sent.file);
  const body = sent.kind === 'row' ? `{"features":${sent.features}}` : `{"instances":[${sent.rows.join(',')}]}`;
  return sampleOf(tab, url, body, hasToken);
}
