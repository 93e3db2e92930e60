import { createApp } from './app.ts';
import { bootstrap } from './bootstrap.ts';
import { createHttpServer } from './http/connection/http-server.ts';
import { listen } from './http/connection/listen.ts';

/** The part of `SHUTDOWN_GRACE_MS` that is reserved for ending the engine processes and writing the last log lines. */
const CLOSING_MS = 500;

/** Listens, loads the model, and serves until a signal or an uncaught error. */
export function main(): void {
  const { config, logger } = bootstrap();
  const app = createApp(config, logger);
  const { handler, metrics } = app;
  const http = createHttpServer({ handler, maxBodyBytes: config.MAX_BODY_BYTES, logger, metrics });
  let shuttingDown = false;

  /**
   * Refuses new requests, waits for those in flight, ends the engine processes, and then the process. A second call ends the
   * process at once.
   */
  async function shutDown(cause: string, exitCode: number): Promise<void> {
    if (shuttingDown) process.exit(exitCode || 1);
    shuttingDown = true;
    logger.info(`${cause}: finishing the requests in flight`, { count: http.inFlight() });
    app.drain();
    const finished = await http.drain(config.SHUTDOWN_GRACE_MS - CLOSING_MS);
    if (!finished) logger.error('requests were cut off: SHUTDOWN_GRACE_MS is over', { count: http.inFlight() });
    http.close();
    await Promise.race([app.close(), delay(CLOSING_MS / 2)]);
    await logger.flush(CLOSING_MS / 2);
    process.exit(exitCode);
  }

  process.on('SIGTERM', () => void shutDown('SIGTERM', 0));
  process.on('SIGINT', () => void shutDown('SIGINT', 0));
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      logger.critical(`uncaught error: ${event}`, { error });
      void shutDown(event, 1);
    });
  }

  listen(http.server, config.PORT, logger, () => void logger.flush(CLOSING_MS).then(() => process.exit(1)));
  if (config.MODEL_LOAD !== 'lazy') app.model.load();
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
