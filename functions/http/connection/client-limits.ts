import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CloseReason } from '../../telemetry/metrics/metrics.ts';
import { isArriving } from '../error-response.ts';

/**
 * Bounds what a request may still take once its handler is done with it: the connection is closed when the client reads nothing
 * of the response for `idleMs`, and when the rest of the body has not arrived `idleMs` later.
 * @param onClose called with the reason before the connection is closed.
 */
export function limitClient(
  req: IncomingMessage,
  res: ServerResponse,
  idleMs: number,
  onClose: (reason: CloseReason) => void,
): void {
  // Most responses have been passed to the kernel by now: they need no timer.
  if (res.writableLength > 0 && !res.writableFinished) limitReading(req, res, idleMs, onClose);
  if (isArriving(req)) limitBody(req, res, idleMs, onClose);
}

/**
 * Node starts this timer again whenever the kernel takes some of the response, and whenever bytes arrive. Of a complete request
 * none are read meanwhile: a client that sends and does not read would keep its response in memory.
 */
function limitReading(
  req: IncomingMessage,
  res: ServerResponse,
  idleMs: number,
  onClose: (reason: CloseReason) => void,
): void {
  const { socket } = req;
  // Before Node's own listener, which sets the time that the connection may be idle until its next request.
  res.prependOnceListener('finish', () => socket.setTimeout(0));
  if (!isArriving(req)) {
    socket.pause();
    res.once('finish', () => socket.resume());
  }
  res.setTimeout(idleMs, () => {
    // A response that was sent before the complete body had arrived is ended when the rest has.
    onClose(res.writableEnded ? 'response_not_read' : 'body_not_sent');
    socket.destroy();
  });
}

/**
 * Destroys a request whose body does not arrive: Node emits no `close` of a request whose response ended first, and readers of
 * the body wait for it.
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
