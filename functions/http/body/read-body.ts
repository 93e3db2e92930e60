import type { IncomingMessage } from 'node:http';
import { ServingError } from '../../errors.ts';
import { shorten } from '../../shorten.ts';
import { BodyReservation, processBudget } from './body-budget.ts';
import { DeclaredBuffer } from './declared-buffer.ts';
import { DirectMessage } from './direct-message.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/** A body of declared length up to this is counted for as long as it is collected: what follows is the queue's to bound. */
const SMALL_BYTES = 65_536;

/**
 * The whole body of a request. On the functions host the framework has read and inflated it already: it is `rawBody`.
 * @param limit bytes; a declared length above it is refused before anything is read.
 * @param reservation what the body takes of the budget for all bodies; it grows as bytes arrive. A small body's is released when
 * it is complete, any other by the caller.
 * @param textBytes how long a text before binary data is: where the body is put together here, what follows the text starts
 * at a multiple of 8 bytes, so that tensors can be views of it.
 * @throws ServingError at once, or by the promise: `TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE` for a content encoding, `CLIENT_GONE`,
 * `OVERLOADED`.
 */
export function readBody(
  req: IncomingMessage,
  limit: number,
  reservation = new BodyReservation(processBudget),
  textBytes = 0,
): Promise<Buffer> {
  const raw = rawBody(req, limit);
  if (raw !== undefined) return Promise.resolve(raw);
  const declared = req.headers['content-length'];
  const length = declared === undefined ? -1 : Number(declared);
  if (length > limit) throw tooLarge(limit);
  refuseEncoding(req);
  return collect(req, limit, length, reservation, -textBytes & 7);
}

/**
 * The body as the functions framework has read it; undefined where it still has to be read.
 * @throws ServingError `TOO_LARGE`: there a stream is a buffered body as well.
 */
export function rawBody(req: IncomingMessage, limit: number): Buffer | undefined {
  const raw = (req as { rawBody?: Buffer }).rawBody;
  if (raw !== undefined && raw.length > limit) throw tooLarge(limit);
  return raw;
}

/** @throws ServingError `UNSUPPORTED_MEDIA_TYPE` unless the body comes as it is. */
export function refuseEncoding(req: IncomingMessage): void {
  const encoding = req.headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity' || 'rawBody' in req) return;
  const message = `content-encoding ${shorten(encoding, 40)}: send the body uncompressed`;
  throw new ServingError('UNSUPPORTED_MEDIA_TYPE', message);
}

/** @throws ServingError `UNSUPPORTED_MEDIA_TYPE` unless the content type is one of `types`; none at all is taken for the first. */
export function requireMediaType(req: IncomingMessage, types: readonly string[]): string {
  const header = req.headers['content-type'];
  if (header === undefined) return types[0]!;
  if (types.includes(header)) return header;
  const end = header.indexOf(';');
  const type = (end === -1 ? header : header.slice(0, end)).trim().toLowerCase();
  if (types.includes(type)) return type;
  const message = `content-type ${shorten(header)}: send ${types.join(' or ')}`;
  throw new ServingError('UNSUPPORTED_MEDIA_TYPE', message);
}

function collect(
  req: IncomingMessage,
  limit: number,
  length: number,
  reservation: BodyReservation,
  lead: number,
): Promise<Buffer> {
  // What a client declares costs nothing: bytes are reserved, and memory is made, as they arrive.
  const small = length !== -1 && length <= SMALL_BYTES;
  return new Promise((resolve, reject) => {
    // One piece is the rule for small bodies.
    let onlyPiece: Buffer | undefined;
    let parts: GrowingBuffer | DeclaredBuffer | undefined;
    let size = 0;
    // The request outlives its response for as long as its connection is idle, and with it the listener below: nothing it
    // can see may lead to the bytes, and a settled promise does.
    let waiting: { resolve(body: Buffer): void; reject(error: Error): void } | undefined = { resolve, reject };

    function take(piece: Buffer | null): void {
      if (piece === null) {
        settle();
        return;
      }
      size += piece.length;
      if (size > limit) {
        refuse(tooLarge(limit));
      } else if (piece.length === length) {
        onlyPiece = piece;
      } else {
        try {
          reservation.grow(piece.length, limit);
        } catch (error) {
          refuse(error as ServingError);
          return;
        }
        parts ??= length === -1 ? new GrowingBuffer(limit) : new DeclaredBuffer(length, lead);
        parts.append(piece);
      }
    }
    function refuse(error: ServingError): void {
      if (req instanceof DirectMessage) req.release();
      req.off('data', take);
      settle(error);
    }
    function settle(error?: ServingError): void {
      if (waiting === undefined) return;
      const { resolve, reject } = waiting;
      const body = onlyPiece ?? parts?.take() ?? Buffer.alloc(0);
      waiting = undefined;
      onlyPiece = undefined;
      parts = undefined;
      if (small) reservation.release();
      if (error === undefined) resolve(body);
      else reject(error);
    }

    const direct = req instanceof DirectMessage && req.takeDirectly(take);
    if (!direct) req.on('data', take).once('end', () => take(null));
    // Also where the rest of a refused body came to its end, which was not reported.
    req.once('close', () => settle(clientLeft()));
    // Its end has been read already, by what throws the rest of a refused body away: there will be no event.
    if (req.destroyed || req.readableEnded) settle(clientLeft());
  });
}

/** For a body of which the client, or its connection, ended before its end. */
export const clientLeft = (): ServingError =>
  new ServingError('CLIENT_GONE', 'the client left before its body was complete');

/** For a body above `MAX_BODY_BYTES`. */
export function tooLarge(limit: number): ServingError {
  const message = `the body is larger than ${limit} bytes (MAX_BODY_BYTES); send rows in batches, or as NDJSON to /batch_predict`;
  return new ServingError('TOO_LARGE', message);
}
