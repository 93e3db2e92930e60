import type { IncomingMessage } from 'node:http';
import type { BodyReservation } from './body-budget.ts';
import { readInflated } from './inflate.ts';
import { createPieceReader, type PieceReader } from './pieces.ts';
import { rawBody, readBody, refuseEncoding, requireMediaType } from './read-body.ts';

/** A body that the route gets when all of it has arrived. */
export interface BufferedBody {
  readonly kind: 'buffered';
  /** Bytes, also of what is inflated. */
  readonly limit: number;
  /** Content types; a request without one is taken for the first. Undefined: any is taken. */
  readonly mediaTypes?: readonly string[];
  /** Whether it may come as gzip or deflate. */
  readonly inflates?: boolean;
  /** How long a text before binary data is: see `readBody`. */
  readonly textBytes?: (req: IncomingMessage) => number;
}

/** A body that the route reads as it arrives, or gets as a whole, by its content type. */
export interface StreamedBody {
  readonly kind: 'streamed';
  /** Bytes of a body that comes as a whole; the functions framework buffers the others as well. */
  readonly limit: number;
  /** Content types of a body that comes as a whole; a request without one is taken for the first. */
  readonly wholeTypes: readonly string[];
  /** Content types of a body that is read as it arrives. */
  readonly streamTypes: readonly string[];
}

/**
 * The body of a request as its route declares it.
 * @param reservation grows as bytes arrive.
 * @throws ServingError `UNSUPPORTED_MEDIA_TYPE`; as `readBody` and `readInflated` do.
 */
export function receiveBody(
  req: IncomingMessage,
  declared: BufferedBody | StreamedBody,
  reservation: BodyReservation,
): PieceReader | Promise<Buffer> {
  const { limit } = declared;
  if (declared.kind === 'buffered') {
    if (declared.mediaTypes !== undefined) requireMediaType(req, declared.mediaTypes);
    const textBytes = declared.textBytes?.(req) ?? 0;
    return declared.inflates === true
      ? readInflated(req, limit, reservation, textBytes)
      : readBody(req, limit, reservation, textBytes);
  }
  const type = requireMediaType(req, [...declared.wholeTypes, ...declared.streamTypes]);
  if (declared.wholeTypes.includes(type)) return readBody(req, limit, reservation);
  refuseEncoding(req);
  rawBody(req, limit);
  return createPieceReader(req);
}
