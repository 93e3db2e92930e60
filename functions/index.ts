/**
 * Cloud Run functions and the functions-framework emulator. The framework reads, inflates and parses every body before
 * the handler runs, and exits at once on SIGTERM: docs/deploy/functions.md lists the consequences.
 */
import { prespawn } from './engine/process/spawn.ts';

prespawn();

const [{ http }, { createApp }, { bootstrap }, { createTurns }] = await Promise.all([
  import('@google-cloud/functions-framework'),
  import('./app.ts'),
  import('./bootstrap.ts'),
  import('./http/connection/turns.ts'),
]);

const { config, logger } = bootstrap();
const app = createApp(config, logger);
if (config.MODEL_LOAD === 'eager') app.model.load();

/** For a program that runs the framework in its own process. */
export const host = { app, config, logger };

http('predict', createTurns(app.handler, app.metrics.connectionClosed).handler);
