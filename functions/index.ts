/**
 * Cloud Run functions and the functions-framework emulator. The framework reads, inflates and parses every body before
 * the handler runs, and exits at once on SIGTERM: docs/deploy/functions.md lists the consequences.
 */
import { prespawn } from './engine/spawn.ts';

prespawn();

const [{ http }, { createApp }, { readConfigOrExit }, { createLogger }] = await Promise.all([
  import('@google-cloud/functions-framework'),
  import('./app.ts'),
  import('./bootstrap.ts'),
  import('./telemetry/log/logger.ts'),
]);

const config = readConfigOrExit();
const logger = createLogger({
  level: config.LOG_LEVEL,
  transport: config.LOG_TRANSPORT,
  projectId: config.GOOGLE_CLOUD_PROJECT,
  readable: process.stdout.isTTY,
});
const app = createApp(config, logger);
if (config.MODEL_LOAD === 'eager') app.model.load();

http('predict', app.handler);
