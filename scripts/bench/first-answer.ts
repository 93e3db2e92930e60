import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './connection.ts';

const RETRY_MS = 2;

/** One request on a connection of its own: its status, or 0 where the connection failed or `signal` ended it. */
function askOnce(port: number, request: Buffer, signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    let answer = 0;
    const connection = connect(port, {
      onOpen: () => connection.send(request),
      onResponse(status) {
        answer = status;
        connection.destroy();
      },
      onClose() {
        signal.removeEventListener('abort', connection.destroy);
        resolve(answer);
      },
    });
    signal.addEventListener('abort', connection.destroy);
  });
}

/**
 * Asks every 2 ms until a 200 comes and gives the time it came, `performance.now()`. A server that listens before it is ready
 * and holds the request is asked once. Rejects when `signal` aborts.
 */
export async function firstAnswer(port: number, request: Buffer, signal: AbortSignal): Promise<number> {
  let status = 0;
  while (!signal.aborted) {
    status = await askOnce(port, request, signal);
    if (status === 200) return performance.now();
    await sleep(RETRY_MS);
  }
  throw new Error(`no 200 before ${signal.reason}; the last status was ${status || 'no answer'}`);
}
