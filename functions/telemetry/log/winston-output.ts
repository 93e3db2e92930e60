import type { transports } from 'winston';
import type { LogEntry } from './log-entry.ts';
import { LEVELS, type Level } from './log-level.ts';
import type { Output } from './stdout-output.ts';

/** Winston exports it, and 3.19 declares it under another name. */
type TransportClass = new (options: {
  log(info: { entry: LogEntry }, next: () => void): void;
}) => transports.StreamTransportInstance;

/**
 * Puts a winston logger before `output`: its level, its stream, one transport. Winston hands each entry on before
 * `log` returns, so lines written before it was loaded and after keep their order.
 */
export async function startWinston(level: Level, output: Output): Promise<(entry: LogEntry) => void> {
  // The default alone: a bundler gives a CommonJS module no named exports here.
  const { default: winston } = await import('winston');
  const { Transport } = winston as unknown as { Transport: TransportClass };
  const transport = new Transport({
    log(info, next) {
      output.write(info.entry);
      next();
    },
  });
  const logger = winston.createLogger({
    level,
    levels: Object.fromEntries(LEVELS.map((name, rank) => [name, rank])),
    // The entry is complete: winston's default format would turn each into JSON for nothing.
    format: winston.format((info) => info)(),
    transports: [transport],
  });
  return (entry) => {
    logger.log({ level: entry.severity.toLowerCase(), message: entry.message, entry });
  };
}
