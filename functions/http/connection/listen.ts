import type { Server } from 'node:http';
import type { Logger } from '../../telemetry/log/logger.ts';

/**
 * Listens on a port. Where that fails, it logs why and calls `fail`; later errors of the server are logged only.
 * @param port 0 for any free one.
 */
export function listen(server: Server, port: number, logger: Logger, fail: () => void): void {
  function onListenError(error: NodeJS.ErrnoException): void {
    const message =
      error.code === 'EADDRINUSE' ? `PORT=${port} is taken: set another` : `cannot listen on PORT=${port}`;
    logger.critical(message, { error, port });
    fail();
  }
  server.once('error', onListenError);
  server.listen(port, () => {
    server.off('error', onListenError);
    // A later error is about one connection: the server keeps serving the others.
    server.on('error', (error) => logger.error('a connection could not be taken', { error }));
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    logger.info(`listening on http://localhost:${bound}`, { port: bound });
  });
}
