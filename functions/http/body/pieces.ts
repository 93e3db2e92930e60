import type { IncomingMessage } from 'node:http';

/** Reads a request's body piece by piece, each only when it is asked for: back-pressure for the client. */
export interface PieceReader {
  /** The next piece; undefined at the body's end, after `stop`, or once the client has left. */
  next(): Promise<Buffer | undefined>;
  /** Ends the reading: the rest of the body is thrown away as it comes, so that a client that still sends comes to read its response. */
  stop(): void;
}

/** About what a socket gives at a time. */
const PIECE_BYTES = 65_536;

/**
 * Nothing is read before the first piece is asked for. On the functions host the body is there already, as `rawBody`: it
 * comes in pieces as well.
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
  function take(piece: Buffer): void {
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
    req.on('data', take).on('end', end).on('close', end).on('error', end);
    // There will be no event any more.
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
      req.off('data', take);
      pieces.length = 0;
      end();
      req.resume();
    },
  };
}
