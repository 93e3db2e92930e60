import { createHistogram } from '../../functions/cli/loadtest/generator/histogram.ts';
import { type Connection, connect } from '../../functions/cli/loadtest/http/connection.ts';

export interface ProbeResult {
  requests: number;
  p50: number;
  p99: number;
  max: number;
  /** Probes without a complete 2xx response before the end and its grace. */
  errors: number;
  /** Delay of the probe's own timer, ms at p99: the part that the machine, not the server, added. */
  lateP99: number;
}

interface ProbeOptions {
  readonly port: number;
  readonly request: Buffer;
  readonly seconds: number;
  readonly perSecond: number;
}

const GRACE_MS = 5000;

/**
 * Sends requests at a steady rate, whatever the responses (an open loop): a slow response does not delay later probes, as each takes
 * an idle connection or a new one. Latency is the time from the write to the complete response.
 */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const { port, request, seconds, perSecond } = options;
  const [latency, late] = [createHistogram(), createHistogram()];
  const idle: { send(): void }[] = [];
  const open = new Set<Connection>();
  const total = Math.round(seconds * perSecond);
  let [sent, settled, errors] = [0, 0, 0];
  let finished = () => {};
  const all = new Promise<void>((resolve) => {
    finished = resolve;
  });

  function settle(ok: boolean): void {
    if (!ok) errors += 1;
    settled += 1;
    if (settled === total) finished();
  }

  function openOne(): void {
    let sentAt = 0;
    let waiting = false;
    const slot = {
      send() {
        sentAt = performance.now();
        waiting = true;
        connection.send(request);
      },
    };
    const connection = connect(
      { port },
      {
        onResponse(status, close) {
          waiting = false;
          latency.record(performance.now() - sentAt);
          if (close) connection.destroy();
          else idle.push(slot);
          settle(status >= 200 && status < 300);
        },
        onClose() {
          open.delete(connection);
          const at = idle.indexOf(slot);
          if (at !== -1) idle.splice(at, 1);
          if (waiting) settle(false);
        },
      },
    );
    open.add(connection);
    slot.send();
  }

  const startedAt = performance.now();
  const timer = setInterval(
    () => {
      for (let due = startedAt + (sent * 1000) / perSecond; due <= performance.now() && sent < total; ) {
        late.record(performance.now() - due);
        sent += 1;
        due = startedAt + (sent * 1000) / perSecond;
        const slot = idle.pop();
        if (slot === undefined) openOne();
        else slot.send();
      }
      if (sent === total) clearInterval(timer);
    },
    Math.max(1, 1000 / perSecond / 4),
  );
  const bound = setTimeout(finished, seconds * 1000 + GRACE_MS);
  await all;
  clearTimeout(bound);
  clearInterval(timer);
  const unanswered = total - settled;
  for (const connection of open) connection.destroy();
  return {
    requests: settled,
    p50: latency.quantile(0.5),
    p99: latency.quantile(0.99),
    max: latency.max(),
    errors: errors + unanswered,
    lateP99: late.quantile(0.99),
  };
}
