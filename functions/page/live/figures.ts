/** What the page shows of `/metrics`. */
export interface Figures {
  /** Rows that were predicted since the start. */
  readonly rows: number;
  /** Rows that wait for a run. */
  readonly queue: number;
  readonly engines: number;
  readonly busy: number;
  /** Rows by the upper bounds of their latencies in seconds, each with those below it. */
  readonly latency: ReadonlyMap<number, number>;
}

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reads the figures of all models from Prometheus text. */
export function readFigures(text: string): Figures {
  let rows = 0;
  let queue = 0;
  let engines = 0;
  let busy = 0;
  const latency = new Map<number, number>();
  for (const line of text.split('\n')) {
    const [, name, labels = '', given] = LINE.exec(line) ?? [];
    const value = Number(given);
    if (name === undefined || !Number.isFinite(value)) continue;
    const label = (wanted: string): string | undefined =>
      Array.from(labels.matchAll(LABEL)).find(([, own]) => own === wanted)?.[2];
    if (name === 'predictions_total' && label('outcome') === 'ok') rows += value;
    else if (name === 'prediction_queue_depth') queue += value;
    else if (name === 'engine_processes' && label('state') !== 'closed') {
      engines += value;
      if (label('state') === 'busy') busy += value;
    } else if (name === 'prediction_latency_seconds_bucket') {
      const bound = label('le') === '+Inf' ? Number.POSITIVE_INFINITY : Number(label('le'));
      latency.set(bound, (latency.get(bound) ?? 0) + value);
    }
  }
  return { rows, queue, engines, busy, latency };
}

/** The upper bound, in seconds, of a quantile of the latencies between two scrapes; undefined if there were none. */
export function quantileOf(quantile: number, now: Figures, before?: Figures): number | undefined {
  const bounds = [...now.latency.keys()].sort((a, b) => a - b);
  const since = (bound: number): number => (now.latency.get(bound) ?? 0) - (before?.latency.get(bound) ?? 0);
  const total = since(bounds.at(-1) ?? 0);
  return total > 0 ? bounds.find((bound) => since(bound) >= total * quantile) : undefined;
}
