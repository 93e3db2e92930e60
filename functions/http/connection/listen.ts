import type { Server } from 'node:http';
import type { Logger } from '../../telemetry/log/logger.ts';

/**
 * Listens on a port. When that fails, the reason is logged and `fail` is called; later errors of the server are logged only.
 * @param port 0: any free port.
 */
export function listen(server: Server, port: number, logger: Logger, fail: () => void): void {
  function onListenError(error: NodeJS.ErrnoException): void {
    const message =
      error.code === 'EADDRINUSE' ? `PORT=${port} is in use: set another port` : `cannot listen on PORT=${port}`;
    logger.critical(message, { error, port });
    fail();
  }
  server.once('error', onListenError);
  server.listen(port, () => {
    server.off('error', onListenError);
    // A later error concerns one connection: the server goes on serving the others.
    server.on('error', (error) => logger.error('a connection could not be accepted', { error }));
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    logger.info(`listening on http://localhost:${bound}`, { port: bound });
  });
}
