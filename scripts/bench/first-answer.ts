import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../functions/cli/loadtest/http/connection.ts';

const RETRY_MS = 2;

/** The status of one request on its own connection, or 0 if the connection failed or `signal` ended it. */
function askOnce(port: number, request: Buffer, signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    let answer = 0;
    const connection = connect(
      { port },
      {
        onOpen: () => connection.send(request),
        onResponse(status) {
          answer = status;
          connection.destroy();
        },
        onClose() {
          signal.removeEventListener('abort', connection.destroy);
          resolve(answer);
        },
      },
    );
    signal.addEventListener('abort', connection.destroy);
  });
}

/**
 * Sends a request every 2 ms until a 200 arrives, and returns the time of its arrival, `performance.now()`. A server that listens
 * before it is ready and lets the request wait gets one. Rejects when `signal` aborts.
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
