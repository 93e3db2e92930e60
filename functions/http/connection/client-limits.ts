import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';
import { isArriving } from '../error-response.ts';

/**
 * Bounds what a request may still take once its handler is done with it: a response of which the client reads nothing for
 * `idleMs`, and what is left of a body for `idleMs` after that, end in a closed connection.
 * @param onClose told before the connection is closed for one of these.
 */
export function limitClient(
  req: IncomingMessage,
  res: ServerResponse,
  idleMs: number,
  onClose: (reason: CloseReason) => void,
): void {
  // Most responses are with the kernel by now, and need no timer.
  if (res.writableLength > 0 && !res.writableFinished) limitReading(req, res, idleMs, onClose);
  if (isArriving(req)) limitBody(req, res, idleMs, onClose);
}

/** Node starts this timer again whenever the kernel takes some of the bytes. */
function limitReading(
  req: IncomingMessage,
  res: ServerResponse,
  idleMs: number,
  onClose: (reason: CloseReason) => void,
): void {
  const { socket } = req;
  // Before Node's own listener, which sets the time that the connection may be idle until its next request.
  res.prependOnceListener('finish', () => socket.setTimeout(0));
  res.setTimeout(idleMs, () => {
    onClose('response_not_read');
    socket.destroy();
  });
}

/**
 * Node emits no `close` of a request whose response ended first: whoever still waits for the body hears of its end by
 * `destroy`, which emits it.
 */
function limitBody(
  req: IncomingMessage,
  res: ServerResponse,
  idleMs: number,
  onClose: (reason: CloseReason) => void,
): void {
  const { socket } = req;
  function end(): void {
    clearTimeout(timer);
    socket.off('close', end);
    if (!req.complete) req.destroy();
  }
  function late(): void {
    if (req.complete) end();
    else if (!res.writableEnded) timer = setTimeout(late, idleMs);
    else {
      onClose('body_not_sent');
      end();
    }
  }
  let timer = setTimeout(late, idleMs);
  socket.once('close', end);
  req.once('end', end);
  if (socket.destroyed) end();
}
