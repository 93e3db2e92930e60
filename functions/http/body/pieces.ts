import type { IncomingMessage } from 'node:http';

/** Reads a request's body piece by piece, each only when it is requested: so a client cannot send faster than it is read. */
export interface PieceReader {
  /** The next piece; undefined at the body's end, after `stop`, or once the client has left. */
  next(): Promise<Buffer | undefined>;
  /** Ends the reading. The rest of the body is discarded as it arrives, so that a client that sends all of it before it reads gets its response. */
  stop(): void;
}

/** About as many bytes as a socket delivers at a time. */
const PIECE_BYTES = 65_536;

/**
 * Creates a reader of a request's body. Nothing is read before the first piece is requested. On the functions host the body has
 * been read already, as `rawBody`: it is returned in pieces too.
 */
export function createPieceReader(req: IncomingMessage): PieceReader {
  const raw = (req as { rawBody?: Buffer }).rawBody;
  const pieces: Buffer[] = [];
  for (let at = 0; raw !== undefined && at < raw.length; at += PIECE_BYTES) {
    pieces.push(raw.subarray(at, at + PIECE_BYTES));
  }
  let started = false;
  let ended = raw !== undefined;
  let wake: (() => void) | undefined;

  function wakeReader(): void {
    wake?.();
    wake = undefined;
  }
  function onPiece(piece: Buffer): void {
    pieces.push(piece);
    req.pause();
    wakeReader();
  }
  function end(): void {
    ended = true;
    wakeReader();
  }
  function start(): void {
    started = true;
    if (ended) return;
    req.on('data', onPiece).on('end', end).on('close', end).on('error', end);
    // There will be no further event.
    if (req.destroyed || req.readableEnded) end();
  }

  return {
    async next() {
      if (!started) start();
      if (pieces.length === 0 && !ended) {
        req.resume();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return pieces.shift();
    },
    stop() {
      req.off('data', onPiece);
      pieces.length = 0;
      end();
      req.resume();
    },
  };
}
