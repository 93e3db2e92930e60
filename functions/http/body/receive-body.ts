import type { IncomingMessage } from 'node:http';
import type { BodyReservation } from './body-budget.ts';
import { readInflated } from './inflate.ts';
import { createPieceReader, type PieceReader } from './pieces.ts';
import { rawBody, readBody, refuseEncoding, requireMediaType } from './read-body.ts';

/** A body that the route gets when it is complete. */
export interface BufferedBody {
  readonly kind: 'buffered';
  /** Most bytes, compressed and inflated. */
  readonly limit: number;
  /** Media types; a request without one has the first. Undefined: any is accepted. */
  readonly mediaTypes?: readonly string[];
  /** Whether it may be compressed, as gzip or deflate. */
  readonly inflates?: boolean;
  /** The length of the JSON text before binary data: see `readBody`. */
  readonly textBytes?: (req: IncomingMessage) => number;
}

/** A body that the route gets when it is complete, or reads as it arrives, depending on its media type. */
export interface StreamedBody {
  readonly kind: 'streamed';
  /** Most bytes of a complete body; on the functions host also of a streamed one, which the framework buffers. */
  readonly limit: number;
  /** Media types of a body that the route gets when it is complete; a request without one has the first. */
  readonly bufferedTypes: readonly string[];
  /** Media types of a body that the route reads as it arrives. */
  readonly streamTypes: readonly string[];
}

/**
 * Receives the body of a request as its route declares it: a reader of a streamed body, a promise of a buffered one.
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
  const type = requireMediaType(req, [...declared.bufferedTypes, ...declared.streamTypes]);
  if (declared.bufferedTypes.includes(type)) return readBody(req, limit, reservation);
  refuseEncoding(req);
  rawBody(req, limit);
  return createPieceReader(req);
}
