import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Answer, exchange } from '../../../scripts/conformance/http.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer as it goes out; without `text` its bytes are left as they came. */
export interface Given {
  status: number;
  headers: Record<string, string>;
  text?: string;
  bytes?: Buffer;
}

/** Changes an answer in place. */
export type Fault = (given: Given & { readonly came: string }, asked: Asked) => void;

/** Not of the message, but of the connection. */
const HOP = ['connection', 'keep-alive', 'transfer-encoding', 'host'];

/** A server that answers as `url` does, but for the fault that is set. */
export async function startFaultyProxy(url: string) {
  let fault: Fault | undefined;
  const server = createServer(async (req, res) => {
    try {
      const body = Buffer.concat(await req.toArray());
      const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => !HOP.includes(name)));
      const asked = { method: req.method!, path: req.url!, headers: headers as Record<string, string> };
      const answer = await exchange(url, { ...asked, method: asked.method as 'GET' | 'POST', body }, 20_000);
      send(answer, { ...asked, body: body.toString('latin1') });
    } catch (error) {
      res.writeHead(599).end(String(error));
    }

    function send(answer: Answer, asked: Asked): void {
      const given = { status: answer.status, headers: { ...answer.headers }, came: answer.text } as Given & {
        came: string;
      };
      for (const name of HOP) delete given.headers[name];
      fault?.(given, asked);
      const bytes = given.text === undefined ? (given.bytes ?? Buffer.from(answer.bytes)) : Buffer.from(given.text);
      if (given.headers['content-length'] !== undefined) given.headers['content-length'] = String(bytes.length);
      res.writeHead(given.status, given.headers).end(bytes);
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set(next: Fault | undefined): void {
      fault = next;
    },
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}
