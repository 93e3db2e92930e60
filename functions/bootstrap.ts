import { type Config, ConfigError, readConfig } from './config/settings.ts';

/** The settings of a host. One that cannot be used ends the process with a line that names it, and no stack. */
export function readConfigOrExit(): Config {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
