import { byId, bytesText, el, urlOf } from './dom.ts';

/** The status of the model: `model` of `/health`. */
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

/** Polls the status of the model: every second while it loads, every 10 s when it serves, never while the page is hidden. */
export function watchStatus(onStatus: (status: Status) => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function ask(): Promise<void> {
    clearTimeout(timer);
    let wait = SOON_MS;
    try {
      const { model } = (await (await fetch(urlOf('health'))).json()) as { model: Status };
      if (model.state === 'ready') wait = LATER_MS;
      // If the server loads on demand, this request starts the load.
      else void fetch(urlOf('ready')).catch(() => {});
      show(model);
      onStatus(model);
    } catch {
      setState('offline', 'The server does not respond');
    }
    timer = setTimeout(() => {
      if (!document.hidden) void ask();
    }, wait);
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void ask();
  });
  void ask();
}

function setState(state: string, words: string): void {
  const badge = byId('state');
  badge.dataset.state = state;
  // A screen reader would announce the same text again.
  if (badge.textContent !== words) badge.textContent = words;
}

function show({ state, phase, reason, ...status }: Status): void {
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
