import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The time to the first interim response; it doubles with each. */
const FIRST_MS = 50;

/**
 * Watches a connection whose client has ended its side while it waits for a response. A client that only sends nothing more
 * gets its response; one that has closed looks the same until something is sent to it, which it answers with a reset. So an
 * interim response is sent, which every client of HTTP/1.1 has to ignore (RFC 9110, 15.2), until the response begins: a second
 * one after the reset ends the connection, and the request is known to be abandoned.
 * @param latest the latest response of the connection.
 */
export function watchHalfClosed(socket: Socket, latest: () => ServerResponse | undefined): void {
  let waitMs = FIRST_MS;
  function isWaiting(): boolean {
    const res = latest();
    return !socket.destroyed && res !== undefined && !res.writableEnded && !res.headersSent;
  }
  function look(): void {
    if (!isWaiting()) return;
    const res = latest()!;
    // HTTP/1.0 has no interim responses.
    if (res.socket !== null && res.req.httpVersion === '1.1') res.writeProcessing();
    waitMs *= 2;
    setTimeout(look, waitMs).unref();
  }
  // Most clients end their side when they have all their responses.
  if (isWaiting()) setTimeout(look, waitMs).unref();
}
