import type { Server } from 'node:http';
import type { LogFields, Logger } from '../../telemetry/log/logger.ts';

/** Where a server listens. */
interface ListenOptions {
  /** The setting of the port, for the log. */
  readonly name: 'PORT' | 'ADMIN_PORT';
  /** 0: any free port. */
  readonly port: number;
  /** An address or host name; `*` for all addresses, IPv6 as well if the machine has it. */
  readonly host: string;
  readonly logger: Logger;
  /** Called when the server cannot listen, with the reason, the error and the port. */
  readonly fail: (message: string, fields: Pick<LogFields, 'error' | 'port'>) => void;
  /** Called with the port on which it listens. */
  readonly listening?: ((port: number) => void) | undefined;
}

/** Listens on a port. Later errors of the server are logged only. */
export function listen(server: Server, { name, port, host, logger, fail, listening }: ListenOptions): void {
  function onListenError(error: NodeJS.ErrnoException): void {
    fail(explain(error, name, port, host), { error, port });
  }
  server.once('error', onListenError);
  server.listen({ port, ...(host !== '*' && { host }) }, () => {
    server.off('error', onListenError);
    // A later error concerns one connection: the server goes on serving the others.
    server.on('error', (error) => logger.error('a connection could not be accepted', { error }));
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    const where = host === '*' ? 'all addresses' : `${host} alone`;
    const scheme = 'setSecureContext' in server ? 'https' : 'http';
    const what = name === 'PORT' ? '' : ' for /metrics and administration';
    logger.info(`listening on ${scheme}://localhost:${bound}${what}, on ${where}`, { port: bound });
    listening?.(bound);
  });
}

function explain({ code }: NodeJS.ErrnoException, name: string, port: number, host: string): string {
  if (code === 'EADDRINUSE') return `${name}=${port} is in use: set another port`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${host} is no address of this machine: set HOST=* for all`;
  return `cannot listen on ${name}=${port}`;
}
