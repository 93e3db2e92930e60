import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ServingError } from '../../errors.ts';
import { sendFailure } from '../error-response.ts';

/** Most header fields of a request, as in Apache; load balancers add a dozen. */
const MAX_FIELDS = 100;
/** RFC 6585, 5. */
const TOO_MANY_FIELDS = 431;
const CODING = 'Transfer-Encoding';

/**
 * Refuses a head that Node accepts and a server in front may read in another way, or that no client sends:
 * - HTTP/0.9, which has no headers;
 * - not exactly one `Host` field, as HTTP/1.1 requires (RFC 9112, 3.2); Node's own response to it has no body;
 * - a transfer coding other than `chunked`, which this server could not undo (RFC 9112, 6.1), or any in HTTP/1.0, where it may be a
 *   sign of request smuggling (RFC 9112, 6.1);
 * - too many fields.
 * The connection is closed after the response.
 * @returns whether the request was refused; otherwise nothing has been sent.
 */
export function refuseHead(req: IncomingMessage, res: ServerResponse): boolean {
  const fields = req.rawHeaders.length / 2;
  const error = fields > MAX_FIELDS ? tooMany(fields) : checkFields(req);
  if (error === undefined) return false;
  res.shouldKeepAlive = false;
  sendFailure({ req, res, id: randomUUID() }, error, fields > MAX_FIELDS ? TOO_MANY_FIELDS : undefined);
  // It is not known where the body ends: the rest of it is not read.
  if (error.path === CODING) res.end();
  return true;
}

const tooMany = (fields: number): ServingError =>
  new ServingError('TOO_LARGE', `the headers: expected at most ${MAX_FIELDS} fields, got ${fields}`);

function checkFields({ rawHeaders, httpVersion }: IncomingMessage): ServingError | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    return invalid('version', `the request line: expected HTTP/1.1 or HTTP/1.0, got HTTP/${httpVersion}`);
  }
  let hosts = 0;
  let unknown = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      unknown ||= httpVersion !== '1.1' || rawHeaders[i + 1]!.toLowerCase() !== 'chunked';
    }
  }
  if (unknown) return invalid(CODING, `${CODING}: expected chunked alone, in an HTTP/1.1 request`);
  if (hosts !== 1 && (hosts > 1 || httpVersion === '1.1')) {
    return invalid('Host', `Host: expected one field in an HTTP/1.1 request, got ${hosts}`);
  }
  return undefined;
}

const invalid = (path: string, message: string): ServingError => new ServingError('INVALID_INPUT', message, { path });
