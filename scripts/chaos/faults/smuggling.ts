import { repeat, type StartAttack } from '../attack.ts';
import { exchangeRaw, statusesOf } from '../clients/sockets.ts';
import type { Fault } from '../fault.ts';

const BOUND_MS = 5000;
/** A request that a server in front takes for a part of the body. */
const HIDDEN = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const LAST = '0\r\n\r\n';

/** Requests of which two servers may see different ends (RFC 9112, 11.2): name and bytes. */
const REQUESTS: readonly (readonly [name: string, bytes: string])[] = [
  ['Content-Length, then Transfer-Encoding', `${POST}Content-Length: 5\r\n${CHUNKED}\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding, then Content-Length', `${POST}${CHUNKED}Content-Length: 5\r\n\r\n${LAST}${HIDDEN}`],
  ['two Content-Length that differ', `${POST}Content-Length: 0\r\nContent-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['two Content-Length that are equal', `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['Content-Length: 5, 5', `${POST}Content-Length: 5, 5\r\n\r\n12345${HIDDEN}`],
  ['Content-Length: +5', `${POST}Content-Length: +5\r\n\r\n12345${HIDDEN}`],
  ['Content-Length: -5', `${POST}Content-Length: -5\r\n\r\n12345${HIDDEN}`],
  ['Content-Length: 0x5', `${POST}Content-Length: 0x5\r\n\r\n12345${HIDDEN}`],
  ['Content-Length: 5 5', `${POST}Content-Length: 5 5\r\n\r\n12345${HIDDEN}`],
  ['Content-Length of 30 digits', `${POST}Content-Length: ${'9'.repeat(30)}\r\n\r\n12345${HIDDEN}`],
  ['Content-Length : 5', `${POST}Content-Length : 5\r\n\r\n12345${HIDDEN}`],
  ['Transfer-Encoding : chunked', `${POST}Transfer-Encoding : chunked\r\n\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding twice', `${POST}${CHUNKED}${CHUNKED}\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding: chunked, identity', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding: identity, chunked', `${POST}Transfer-Encoding: identity, chunked\r\n\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding: xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding: chunked with a tab of its own', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n${LAST}${HIDDEN}`],
  ['Transfer-Encoding in HTTP/1.0', `${POST.replace('1.1', '1.0')}${CHUNKED}\r\n${LAST}${HIDDEN}`],
  ['a folded field', `${POST}X-A: b\r\n Content-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['a folded Transfer-Encoding', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${LAST}${HIDDEN}`],
  ['lines that end with LF', `${POST}${CHUNKED}\r\n${LAST}`.replaceAll('\r\n', '\n') + HIDDEN],
  ['a field that ends with LF', `${POST}X-A: b\nContent-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['a field with CR', `${POST}X-A: b\rContent-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['a field with NUL', `${POST}X-A: b\0c\r\nContent-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['two Host', `${POST}Host: b\r\nContent-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['no Host', `${POST.replace('Host: a\r\n', '')}Content-Length: 5\r\n\r\n12345${HIDDEN}`],
  ['chunk size 0x5', `${POST}${CHUNKED}\r\n0x5\r\n12345\r\n${LAST}${HIDDEN}`],
  ['chunk size +5', `${POST}${CHUNKED}\r\n+5\r\n12345\r\n${LAST}${HIDDEN}`],
  ['chunk size -1', `${POST}${CHUNKED}\r\n-1\r\n12345\r\n${LAST}${HIDDEN}`],
  ['a chunk size of 17 digits', `${POST}${CHUNKED}\r\n${'F'.repeat(17)}\r\n12345\r\n${LAST}${HIDDEN}`],
  ['a chunk size that ends with LF', `${POST}${CHUNKED}\r\n5\n12345\r\n${LAST}${HIDDEN}`],
  ['no chunk size', `${POST}${CHUNKED}\r\n\r\n12345\r\n${LAST}${HIDDEN}`],
  ['a chunk longer than its size', `${POST}${CHUNKED}\r\n3\r\n12345\r\n${LAST}${HIDDEN}`],
  ['a chunk extension with LF', `${POST}${CHUNKED}\r\n5;a\nb\r\n12345\r\n${LAST}${HIDDEN}`],
  ['a chunk extension of 1 MiB', `${POST}${CHUNKED}\r\n5;a=${'b'.repeat(2 ** 20)}\r\n12345\r\n${LAST}${HIDDEN}`],
];

export const smuggling: Fault = {
  name: 'smuggling',
  title: 'requests of which two servers may see different ends',
  async run(chaos) {
    const { port } = await chaos.shared();
    const answered: string[] = [];
    const open: string[] = [];
    for (const [name, bytes] of REQUESTS) {
      const { text, isClosed } = await exchangeRaw(port, Buffer.from(bytes, 'latin1'), BOUND_MS);
      const statuses = statusesOf(text);
      // A connection may be closed without a response.
      if (statuses.length > 1 || statuses.some((status) => status < 400)) answered.push(`${name}: ${statuses}`);
      if (!isClosed) open.push(name);
    }
    chaos.holds(`each of ${REQUESTS.length} is refused`, answered.length === 0, answered.join('; ') || 'refused');
    chaos.holds('and its connection closed', open.length === 0, open.join('; ') || 'closed');
  },
};

export const attackBySmuggling: StartAttack = ({ port }, random) =>
  repeat(100, () => exchangeRaw(port, Buffer.from(random.pick(REQUESTS)[1], 'latin1'), 1000));
