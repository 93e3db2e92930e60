import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Sent } from './http.ts';

/** The responses of a server from the first one to the first 200 of `/v2/health/ready`. */
export interface Startup {
  /** The responses by path while it was not ready, in order. */
  readonly before: Readonly<Record<'live' | 'ready' | 'model', readonly Answer[]>>;
  /** The first response that it is ready. */
  readonly ready: Answer;
}

const EVERY_MS = 10;

/**
 * Polls a server that is about to start, until it is ready.
 * @param model the model whose readiness is polled too
 * @throws Error if the server is not ready within `boundMs`, or ends
 */
export async function watchStartup(
  send: (sent: Sent) => Promise<Answer>,
  model: string,
  boundMs: number,
): Promise<Startup> {
  const before = { live: [] as Answer[], ready: [] as Answer[], model: [] as Answer[] };
  const end = performance.now() + boundMs;
  let said = 'nothing';
  for (let answered = false; performance.now() < end; await sleep(EVERY_MS)) {
    try {
      const model_ = await send({ method: 'GET', path: `/v2/models/${encodeURIComponent(model)}/ready` });
      const live = await send({ method: 'GET', path: '/v2/health/live' });
      const ready = await send({ method: 'GET', path: '/v2/health/ready' });
      answered = true;
      if (ready.status === 200) return { before, ready };
      said = `${ready.status} ${ready.text.slice(0, 200)}`;
      before.model.push(model_);
      before.live.push(live);
      before.ready.push(ready);
    } catch (error) {
      if (answered) throw new Error(`the server went away while it started: ${(error as Error).message}`);
    }
  }
  throw new Error(`the server was not ready after ${boundMs} ms: its last answer was ${said}`);
}
