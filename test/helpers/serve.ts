import { once } from 'node:events';
import { createServer, IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** An HTTP server on a free port of loopback, for as long as the test. */
export async function serve(
  t: TestContext,
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  message: typeof IncomingMessage = IncomingMessage,
): Promise<{ port: number; url: string }> {
  const server = createServer({ IncomingMessage: message }, handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}` };
}
