import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

/** A request that is sent unchanged: `fetch` would correct or refuse parts of it. */
export interface Sent {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Declares a body of this many bytes and sends none of it. */
  readonly declared?: number;
  /** Longest wait for the response, in milliseconds. Default: that of the command. */
  readonly timeoutMs?: number;
  /** The pool of connections. Default: a new connection, which is not reused. */
  readonly agent?: HttpAgent;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly text: string;
}

const LARGEST_ANSWER = 64 * 2 ** 20;

export const createAgent = (url: string): HttpAgent =>
  url.startsWith('https:') ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });

/** Sends a request. @throws Error without a complete response within `timeoutMs`. */
export async function exchange(url: string, sent: Sent, timeoutMs: number): Promise<Answer> {
  const agent = sent.agent ?? createAgent(url);
  const { method, body, declared } = sent;
  const length = declared ?? (body === undefined ? 0 : Buffer.byteLength(body));
  const headers = { ...(method === 'POST' && { 'Content-Length': String(length) }), ...sent.headers };
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  const signal = AbortSignal.timeout(timeoutMs);
  const outgoing = request(url + sent.path, { method, headers, agent, signal });
  try {
    const incoming = receive(outgoing);
    if (declared === undefined) outgoing.end(body);
    else outgoing.flushHeaders();
    const message = await incoming;
    const bytes = await readAll(message);
    const text = Buffer.from(bytes).toString();
    return { status: message.statusCode!, headers: message.headers as Record<string, string>, bytes, text };
  } catch (error) {
    if (signal.aborted) throw new Error(`no response within ${timeoutMs} ms`);
    throw error;
  } finally {
    if (sent.agent === undefined) {
      outgoing.destroy();
      agent.destroy();
    }
  }
}

function receive(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Also for later errors: a server that refuses a body may respond and close the connection.
    outgoing.on('error', reject).once('response', resolve);
  });
}

async function readAll(message: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of message as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LARGEST_ANSWER) throw new Error(`the response has more than ${LARGEST_ANSWER} bytes`);
    pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}
