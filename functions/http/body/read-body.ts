import type { IncomingMessage } from 'node:http';
import { ServingError } from '../../errors.ts';
import { shorten } from '../../shorten.ts';
import { BodyReservation, processBudget } from './body-budget.ts';
import { DeclaredBuffer } from './declared-buffer.ts';
import { DirectMessage } from './direct-message.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/** A body of at most this declared length is counted until it is complete: after that, the length of the queue bounds its memory. */
const SMALL_BYTES = 65_536;

/**
 * Reads the complete body of a request. On the functions host the framework has read and inflated it already: it is `rawBody`.
 * @param limit bytes; a declared length above it is refused before anything is read.
 * @param reservation grows as bytes arrive. That of a small body is released when it is complete, any other by the caller.
 * @param textBytes length of the JSON text before binary data. If the body is copied, the data starts at a multiple of 8 bytes,
 * so that tensors can be views of it.
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
 * The body as the functions framework has read it; undefined if it has to be read.
 * @throws ServingError `TOO_LARGE`, also for a stream, which the framework buffers.
 */
export function rawBody(req: IncomingMessage, limit: number): Buffer | undefined {
  const raw = (req as { rawBody?: Buffer }).rawBody;
  if (raw !== undefined && raw.length > limit) throw tooLarge(limit);
  return raw;
}

/** Refuses a compressed body. @throws ServingError `UNSUPPORTED_MEDIA_TYPE`. */
export function refuseEncoding(req: IncomingMessage): void {
  const encoding = req.headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity' || 'rawBody' in req) return;
  const message = `content-encoding ${shorten(encoding, 40)}: send the body uncompressed`;
  throw new ServingError('UNSUPPORTED_MEDIA_TYPE', message);
}

/**
 * The media type of a request's body, without parameters.
 * @param types those that are accepted, in lower case; a request without a content type has the first.
 * @throws ServingError `UNSUPPORTED_MEDIA_TYPE` for any other.
 */
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
  // A declared length reserves nothing: bytes are reserved, and memory is allocated, as they arrive.
  const small = length !== -1 && length <= SMALL_BYTES;
  return new Promise((resolve, reject) => {
    // Small bodies usually arrive in one piece.
    let onlyPiece: Buffer | undefined;
    let parts: GrowingBuffer | DeclaredBuffer | undefined;
    let size = 0;
    // The request, and with it the `close` listener below, outlives its response for as long as its connection is idle. The
    // listener must not reference the bytes, and a settled promise references them.
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
      const received = parts;
      const body = error === undefined ? (onlyPiece ?? received?.take() ?? Buffer.alloc(0)) : undefined;
      waiting = undefined;
      onlyPiece = undefined;
      parts = undefined;
      if (small) reservation.release();
      if (error === undefined) {
        resolve(body!);
        return;
      }
      received?.clear();
      reject(error);
    }

    const direct = req instanceof DirectMessage && req.takeDirectly(take);
    if (!direct) req.on('data', take).once('end', () => take(null));
    // Also the only event after a refused body that was discarded to its end.
    req.once('close', () => settle(clientLeft()));
    // The rest of a refused body may have been read to its end and discarded: there will be no event.
    if (req.destroyed || req.readableEnded) settle(clientLeft());
  });
}

/** The error for a body whose client closed the connection before its end. */
export const clientLeft = (): ServingError =>
  new ServingError('CLIENT_GONE', 'the client left before its body was complete');

/** The error for a body above `MAX_BODY_BYTES`. */
export function tooLarge(limit: number): ServingError {
  const message = `the body is larger than ${limit} bytes (MAX_BODY_BYTES); send rows in batches, or as NDJSON to /batch_predict`;
  return new ServingError('TOO_LARGE', message);
}
