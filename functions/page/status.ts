import { byId, el, urlOf } from './dom.ts';
import { Failure, get, send } from './failure.ts';
import { pathOf, type Target } from './model.ts';
import { bytesText } from './text.ts';

/** The status of a model, as `/health` and `/models/{name}` have it. */
export interface Status {
  readonly name: string;
  readonly version?: string;
  readonly state: 'idle' | 'loading' | 'ready' | 'failed' | 'degraded';
  readonly phase?: string;
  readonly bytes?: number;
  readonly fetched_bytes?: number;
  readonly load_seconds: number;
  readonly reason?: string;
  readonly refresh_error?: string;
}

const SOON_MS = 1000;
const LATER_MS = 10_000;

/** Whether a model predicts in this state. */
export const serves = ({ state }: Status): boolean => state === 'ready' || state === 'degraded';

/** Is given undefined for a caller that may not use the model behind `/predict`. @returns whether the status is to be shown. */
type OnStatus = (status: Status | undefined) => boolean;

/**
 * Polls the status of a model: every second while it loads, every 10 s when it serves, never while the page is hidden. A model that
 * is not loaded is loaded: that behind `/predict` by the readiness probe, any other by a first request for predictions.
 */
export function createStatusWatch(onStatus: OnStatus): { watch(target: Target): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let target: Target | undefined;
  /** Whether the load of the target was requested. */
  let isRequested = false;

  async function read(asked: Target): Promise<Status | undefined> {
    const { name } = asked;
    const response = await get(urlOf(name === undefined ? 'health' : pathOf(asked, '')));
    const json = await response.json();
    return (name === undefined ? json.model : json) as Status | undefined;
  }

  async function ask(): Promise<void> {
    clearTimeout(timer);
    const asked = target;
    // The page is not connected yet.
    if (asked === undefined) return;
    let wait = SOON_MS;
    try {
      const status = await read(asked);
      // The user has chosen another model in the meantime.
      if (asked !== target) return;
      const isShown = onStatus(status);
      if (!isShown || status === undefined || status.state === 'ready') wait = LATER_MS;
      else requestLoad(asked, status);
      // It is tried again, but not at once.
      if (status?.state === 'failed') wait = LATER_MS;
      if (!isShown) setState('idle', '');
      else if (status !== undefined) show(status);
    } catch (error) {
      if (asked !== target) return;
      const { code, message } = error as Failure;
      if (code !== undefined) wait = LATER_MS;
      setState('offline', code === undefined ? 'The server does not respond' : message);
    }
    // Another request may have ended in the meantime.
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!document.hidden) void ask();
    }, wait);
  }

  function requestLoad(asked: Target, { state }: Status): void {
    if (asked.name === undefined) {
      // If the server loads on demand, this request starts the load.
      void fetch(urlOf('ready')).catch(() => {});
      return;
    }
    if (state !== 'idle' || isRequested) return;
    isRequested = true;
    // A batch of no rows is answered once the model is loaded.
    send(urlOf(pathOf(asked, 'batch_predict')), 'application/json', '[]').then(
      () => {
        if (asked === target) void ask();
      },
      (error) => {
        if (asked !== target || !(error instanceof Failure)) return;
        if (error.code === 'NOT_READY') setState('failed', error.detail);
        else void ask();
      },
    );
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void ask();
  });
  return {
    watch(next) {
      target = next;
      isRequested = false;
      void ask();
    },
  };
}

function setState(state: string, words: string): void {
  const badge = byId('state');
  badge.dataset.state = state;
  badge.hidden = words === '';
  // A screen reader would announce the same text again.
  if (badge.textContent !== words) badge.textContent = words;
}

function show({ state, phase, reason, ...status }: Status): void {
  byId('waiting').textContent =
    state === 'failed'
      ? `The model did not load: ${reason ?? 'the log says why'}.`
      : 'The form appears once the model is loaded.';
  setState(state, phase === undefined || state === 'ready' ? state : `${state}: ${phase}`);
  const rows: [string, string | undefined][] = [
    ['Name', status.name],
    ['Version', status.version],
    ['State', state],
    ['Phase', phase],
    ['Size', sizeText(status)],
    ['Loaded in', state === 'ready' ? `${status.load_seconds} s` : undefined],
    ['Reason', reason],
    ['Newer version', status.refresh_error],
  ];
  byId('status').replaceChildren(
    ...rows.flatMap(([name, text]) => (text === undefined ? [] : [el('dt', {}, name), el('dd', {}, text)])),
  );
}

function sizeText({ bytes, fetched_bytes: fetched }: Pick<Status, 'bytes' | 'fetched_bytes'>): string | undefined {
  if (bytes === undefined) return undefined;
  return fetched === undefined ? bytesText(bytes) : `${bytesText(fetched)} of ${bytesText(bytes)}`;
}
