import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { ServingError } from '../../errors.ts';
import { shorten } from '../../shorten.ts';
import { BodyReservation, processBudget } from './body-budget.ts';
import { GrowingBuffer } from './growing-buffer.ts';
import { clientLeft, readBody, tooLarge } from './read-body.ts';

/** Bytes that come out of the inflater at a time. */
const CHUNK_BYTES = 65_536;

/**
 * Reads the complete body of a request, and inflates it if its `Content-Encoding` is gzip or deflate (RFC 9110, 8.4.1: zlib's
 * format), outside of the event loop and as it arrives. Each piece is counted before it is kept: neither the compressed nor the
 * inflated bytes exceed `limit`. On the functions host the framework has inflated the body already.
 * @param reservation as for `readBody`, and released by the caller. @param textBytes as for `readBody`.
 * @throws ServingError as `readBody`; `TOO_LARGE` also for what inflates to more than `limit` bytes; `INVALID_INPUT` for bytes
 * that are not a complete gzip or zlib stream; `UNSUPPORTED_MEDIA_TYPE` for another encoding.
 */
export function readInflated(
  req: IncomingMessage,
  limit: number,
  reservation = new BodyReservation(processBudget),
  textBytes = 0,
): Promise<Buffer> {
  const encoding = 'rawBody' in req ? 'identity' : (req.headers['content-encoding'] ?? 'identity').toLowerCase();
  if (encoding === 'identity') return readBody(req, limit, reservation, textBytes);
  const zlib = process.getBuiltinModule('node:zlib');
  const options = { chunkSize: CHUNK_BYTES };
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  if (encoding === 'gzip' || encoding === 'x-gzip') return inflate(req, zlib.createGunzip(options), limit, reservation);
  if (encoding === 'deflate') return inflate(req, zlib.createInflate(options), limit, reservation);
  const message = `content-encoding ${shorten(encoding, 40)}: send the body as gzip, deflate or identity`;
  throw new ServingError('UNSUPPORTED_MEDIA_TYPE', message);
}

function inflate(
  req: IncomingMessage,
  inflater: Transform,
  limit: number,
  reservation: BodyReservation,
): Promise<Buffer> {
  const inflated = new GrowingBuffer(limit);
  let deflatedBytes = 0;
  return new Promise((resolve, reject) => {
    function refuse(error: ServingError): void {
      req.off('data', count).unpipe(inflater);
      inflater.destroy();
      inflated.clear();
      reject(error);
    }
    /** An endless stream can inflate to nothing. */
    function count(piece: Buffer): void {
      deflatedBytes += piece.length;
      if (deflatedBytes > limit) refuse(tooLarge(limit));
    }
    function keep(piece: Buffer): void {
      if (inflated.length + piece.length > limit) {
        refuse(new ServingError('TOO_LARGE', `the body inflates to more than ${limit} bytes (MAX_BODY_BYTES)`));
        return;
      }
      try {
        reservation.grow(piece.length, limit);
      } catch (error) {
        refuse(error as ServingError);
        return;
      }
      inflated.append(piece);
    }
    inflater.on('data', keep);
    inflater.once('end', () => resolve(inflated.take()));
    inflater.once('error', (cause) => {
      const message = `the body is not ${req.headers['content-encoding']}, as Content-Encoding says: ${cause.message}`;
      refuse(new ServingError('INVALID_INPUT', message, { cause }));
    });
    // After the body's end this has no effect: the promise is settled.
    req.once('close', () => {
      if (!req.readableEnded) refuse(clientLeft());
    });
    // The rest of a refused body may have been read to its end and discarded: there will be no event.
    if (req.destroyed || req.readableEnded) refuse(clientLeft());
    else req.on('data', count).pipe(inflater);
  });
}
