import { type Config, ConfigError, environmentWith, type GivenSettings, readConfig } from './config/settings.ts';
import { createLogger, type Logger } from './telemetry/log/logger.ts';

/**
 * Reads the settings and sets up the logger, for either host. A setting that cannot be used ends the process with exit code 1
 * and one line on stderr that names it.
 * @param given settings of a command line, which replace those of the environment
 */
export function bootstrap(given: GivenSettings = {}): { readonly config: Config; readonly logger: Logger } {
  const config = readConfigOrExit(given);
  const logger = createLogger({
    level: config.LOG_LEVEL,
    transport: config.LOG_TRANSPORT,
    projectId: config.GOOGLE_CLOUD_PROJECT,
    readable: process.stdout.isTTY,
  });
  return { config, logger };
}

function readConfigOrExit(given: GivenSettings): Config {
  try {
    return readConfig(environmentWith(given));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
