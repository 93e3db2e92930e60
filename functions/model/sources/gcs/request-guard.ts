import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Agent, ClientRequest } from 'node:http';
import { SourceError } from '../source.ts';

/** One request to the service, from its start until its answer is read. */
export interface Flight {
  /** Stalled, aborted or done with: whatever still comes is nobody's. */
  readonly over: boolean;
  /** Bytes have come. */
  alive(): void;
  /** Cuts the connection, or the one that is about to be made. */
  cut(): void;
}

export interface Flights {
  /**
   * Makes one request, and cuts its connection unless it went well.
   * @param place what the message of a stall names.
   * @throws SourceError `transient` after a time without a byte; the signal's reason as soon as it is aborted; else what
   * `start` throws.
   */
  fly<T>(place: string, signal: AbortSignal, start: (flight: Flight) => Promise<T>): Promise<T>;
  /** Cuts what is under way, and the connections that are kept for later. */
  close(): void;
}

const STARTED = 'http.client.request.start';

/**
 * Google's client cannot end a request: it takes no signal, and what it gives up on stays connected. Its one remedy, after
 * a failed download, destroys the agent, and with it all other downloads of the process. So the requests are caught
 * where Node starts them.
 * @param host of the service: requests for credentials, which several flights may wait for, are left alone.
 */
export function createFlights(stallMs: number, host: () => string): Flights {
  const current = new AsyncLocalStorage<(request: ClientRequest) => void>();
  const underWay = new Set<() => void>();
  const agents = new Set<Agent>();

  function catchRequest(message: unknown): void {
    const { request } = message as { request: ClientRequest & { agent?: Agent } };
    const caught = current.getStore();
    if (caught === undefined || request.getHeader('host') !== host()) return;
    if (request.agent) agents.add(request.agent);
    caught(request);
  }
  subscribe(STARTED, catchRequest);

  async function fly<T>(place: string, signal: AbortSignal, start: (flight: Flight) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    let request: ClientRequest | undefined;
    let unwanted = false;
    let over = false;
    let aliveAt = performance.now();
    let timer = setTimeout(look, stallMs);

    function look(): void {
      const leftMs = aliveAt + stallMs - performance.now();
      // After a long pause of the whole process timers come first, and the bytes that wait in the socket after them.
      if (leftMs > 0) timer = setTimeout(look, leftMs);
      else setImmediate(judge);
    }
    function judge(): void {
      if (over) return;
      if (performance.now() - aliveAt < stallMs) look();
      else stop(new SourceError('transient', `${place}: no byte for ${stallMs / 1_000} s`));
    }
    function stop(reason: unknown): void {
      over = true;
      reject(reason);
    }
    function cut(): void {
      unwanted = true;
      request?.destroy();
    }
    function caught(one: ClientRequest): void {
      request = one;
      if (unwanted) one.destroy();
    }
    const flight: Flight = {
      get over() {
        return over;
      },
      alive: () => {
        aliveAt = performance.now();
      },
      cut,
    };
    const abort = (): void => stop(signal.reason);
    const close = (): void => stop(new SourceError('transient', `${place}: the source was closed`));
    signal.addEventListener('abort', abort, { once: true });
    underWay.add(close);
    try {
      return await Promise.race([current.run(caught, () => start(flight)), stopped]);
    } catch (error) {
      cut();
      throw error;
    } finally {
      over = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      underWay.delete(close);
    }
  }

  function close(): void {
    unsubscribe(STARTED, catchRequest);
    for (const stop of underWay) stop();
    for (const agent of agents) {
      for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
    }
  }

  return { fly, close };
}
