import { byId, urlOf } from '../dom.ts';
import { credentials } from '../session.ts';
import { count, millisecondsText } from '../text.ts';
import { type Figures, quantileOf, readFigures } from './figures.ts';

const EVERY_MS = 5000;
/** Durations that are kept for the line of this page. */
const KEPT = 60;

/** Shows how fast this page's predictions and the server are. */
export interface Live {
  /** Adds a prediction of this page. */
  answered(milliseconds: number): void;
  /** Reads the metrics again, with another token. */
  restart(): void;
}

/** Creates the line of figures. Those of the server are read every 5 s while the page is seen, and not at all if they are refused. */
export function createLive(): Live {
  const durations: number[] = [];
  let before: { figures: Figures; at: number } | undefined;
  let isAllowed = true;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function ask(): Promise<void> {
    clearTimeout(timer);
    if (!isAllowed || document.hidden) return;
    try {
      const response = await fetch(urlOf('metrics'), { headers: credentials() });
      isAllowed = response.ok;
      if (response.ok) show(readFigures(await response.text()));
    } catch {
      // The server may be back at the next time.
      before = undefined;
    }
    byId('server-figures').hidden = !isAllowed || before === undefined;
    clearTimeout(timer);
    if (isAllowed) timer = setTimeout(() => void ask(), EVERY_MS);
  }

  function show(figures: Figures): void {
    const at = performance.now();
    const seconds = before === undefined ? undefined : (at - before.at) / 1000;
    const rate = before === undefined || seconds === undefined ? 0 : (figures.rows - before.figures.rows) / seconds;
    const recent = quantileOf(0.95, figures, before?.figures) ?? quantileOf(0.95, figures);
    set('figure-rate', `${count(rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate))}`);
    set('figure-latency', recent === undefined ? '–' : boundText(recent));
    set('figure-queue', count(figures.queue));
    set('figure-engines', `${figures.busy} / ${figures.engines}`);
    before = { figures, at };
  }

  document.addEventListener('visibilitychange', () => void ask());
  void ask();
  return {
    answered(milliseconds) {
      durations.push(milliseconds);
      if (durations.length > KEPT) durations.shift();
      const sorted = durations.toSorted((a, b) => a - b);
      set('figure-median', millisecondsText(sorted[Math.floor(sorted.length / 2)]!));
      byId('page-figures').hidden = false;
      // The first prediction may have loaded the model.
      if (durations.length === 1) void ask();
      byId('spark-line').setAttribute('points', pointsOf(durations));
      byId('spark').toggleAttribute('hidden', durations.length < 2);
    },
    restart() {
      isAllowed = true;
      void ask();
    },
  };
}

const boundText = (seconds: number): string =>
  Number.isFinite(seconds) ? `≤ ${count(Number((seconds * 1000).toPrecision(3)))} ms` : '> 60 s';

function set(id: string, text: string): void {
  byId(id).textContent = text;
}

const WIDTH = 80;
const HEIGHT = 20;

/** The points of a line of the durations, the oldest first. */
function pointsOf(values: readonly number[]): string {
  const most = Math.max(...values);
  return values
    .map((value, i) => {
      const x = (i / Math.max(1, values.length - 1)) * (WIDTH - 2) + 1;
      return `${x.toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`;
    })
    .join(' ');
}
