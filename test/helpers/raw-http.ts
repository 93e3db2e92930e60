import { connect as connectTo, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';

/** An answer as it came over the socket. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The same, where it is no text. */
  readonly bytes: Buffer;
}

/** One connection, for what `fetch` will not do: half a body, no HTTP at all, several requests at once, never reading. */
export interface RawConnection {
  readonly socket: Socket;
  send(text: string | Uint8Array): void;
  /** The next answer, whole. @throws Error where the connection ends before that. */
  answer(): Promise<RawAnswer>;
  /** Waits until the bytes that no answer has taken yet hold `text`, and gives those up to its end. */
  text(text: string): Promise<string>;
  /** Settles with all untaken bytes when the server has closed the connection. */
  readonly closed: Promise<string>;
  /** Cuts the connection. */
  destroy(): void;
}

/** @param tls of a server with TLS: the authority of its certificate. */
export function connect({ port }: { port: number }, tls?: ConnectionOptions): RawConnection {
  const socket =
    tls === undefined
      ? connectTo(port, '127.0.0.1')
      : connectSecurely({ port, host: '127.0.0.1', servername: 'localhost', ...tls });
  // Latin-1: a character for each byte. An answer of megabytes comes in hundreds of pieces, and a text grows without a copy.
  let untaken = '';
  let open = true;
  let wake = (): void => {};
  socket.on('data', (piece: Buffer) => {
    untaken += piece.toString('latin1');
    wake();
  });
  // What a reset means is told by what has come, or not come, before it.
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => {
    const end = (): void => {
      open = false;
      wake();
      resolve(decode(untaken));
    };
    socket.once('end', end).once('close', end);
  });

  async function take<T>(find: (text: string) => { value: T; end: number } | undefined, what: string): Promise<T> {
    for (;;) {
      const found = find(untaken);
      if (found !== undefined) {
        untaken = untaken.slice(found.end);
        return found.value;
      }
      if (!open)
        throw new Error(`the connection ended before ${what}; it gave ${JSON.stringify(decode(untaken.slice(-300)))}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    socket,
    closed,
    send: (text) => void socket.write(text),
    answer: () => take(findAnswer, 'an answer'),
    text: (text) =>
      take((all) => {
        const at = all.indexOf(text);
        return at === -1 ? undefined : { value: all.slice(0, at + text.length), end: at + text.length };
      }, JSON.stringify(text)),
    destroy: () => socket.destroy(),
  };
}

const decode = (latin1: string): string => Buffer.from(latin1, 'latin1').toString();

/** The first whole answer in `text`, which is latin1: one character a byte. Interim answers are skipped. */
function findAnswer(text: string): { value: RawAnswer; end: number } | undefined {
  const split = text.indexOf('\r\n\r\n');
  if (split === -1) return undefined;
  const [statusLine = '', ...fields] = text.slice(0, split).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const from = split + 4;
  if (status < 200) {
    const next = findAnswer(text.slice(from));
    return next && { value: next.value, end: from + next.end };
  }
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(':')).toLowerCase(),
      field.slice(field.indexOf(':') + 1).trim(),
    ]),
  );
  const found = headers['transfer-encoding'] === 'chunked' ? findChunks(text, from) : findCounted(text, from, headers);
  if (found === undefined) return undefined;
  const bytes = Buffer.from(found.body, 'latin1');
  return { value: { status, headers, body: bytes.toString(), bytes }, end: found.end };
}

function findCounted(text: string, from: number, headers: Record<string, string>) {
  const end = from + Number(headers['content-length'] ?? 0);
  return text.length < end ? undefined : { body: text.slice(from, end), end };
}

function findChunks(text: string, from: number): { body: string; end: number } | undefined {
  // A response of megabytes arrives in hundreds of pieces: its chunks are read once it may be whole.
  if (!text.includes('\r\n0\r\n\r\n', from - 2)) return undefined;
  let body = '';
  for (let at = from; ; ) {
    const line = text.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const size = Number.parseInt(text.slice(at, line), 16);
    const end = line + 2 + size + 2;
    if (text.length < end) return undefined;
    if (size === 0) return { body, end };
    body += text.slice(line + 2, line + 2 + size);
    at = end;
  }
}

/** A POST's head and body in HTTP/1.1 bytes. `headers` may replace any of the usual ones; undefined leaves it out. */
export function postText(path: string, body: string, headers: Record<string, string | undefined> = {}): string {
  const all = {
    host: 'localhost',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const fields = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return `POST ${path} HTTP/1.1\r\n${fields.join('')}\r\n${body}`;
}

/**
 * A request that is accepted and stays in flight until its body is sent: a server that drains waits for it, however slow this
 * machine is.
 */
export async function holdRequest(
  host: { port: number },
  path: string,
  body: string,
): Promise<() => Promise<RawAnswer>> {
  const connection = connect(host);
  connection.send(postText(path, '', { expect: '100-continue', 'content-length': String(Buffer.byteLength(body)) }));
  await connection.text('100 Continue\r\n\r\n');
  return () => {
    connection.send(body);
    return connection.answer();
  };
}
