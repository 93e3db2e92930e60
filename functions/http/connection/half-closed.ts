import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Milliseconds to the first interim response; the wait doubles with each further one. */
const FIRST_MS = 50;

/**
 * Finds out whether a client that has ended its side of the connection still waits for its response. A client that has only
 * finished sending does; one that has closed the connection looks the same until something is sent to it, to which its kernel
 * responds with a reset. So interim responses, which every HTTP/1.1 client has to ignore (RFC 9110, 15.2), are sent until the
 * response begins: after a reset, the next one fails and destroys the connection, which cancels the request.
 * @param latest gives the response of the connection's latest request.
 */
export function watchHalfClosed(socket: Socket, latest: () => ServerResponse | undefined): void {
  let waitMs = FIRST_MS;
  function isWaiting(): boolean {
    const res = latest();
    return !socket.destroyed && res !== undefined && !res.writableEnded && !res.headersSent;
  }
  function probe(): void {
    if (!isWaiting()) return;
    const res = latest()!;
    // HTTP/1.0 has no interim responses.
    if (res.socket !== null && res.req.httpVersion === '1.1') res.writeProcessing();
    waitMs *= 2;
    setTimeout(probe, waitMs).unref();
  }
  // Most clients end their side when they have all their responses.
  if (isWaiting()) setTimeout(probe, waitMs).unref();
}
