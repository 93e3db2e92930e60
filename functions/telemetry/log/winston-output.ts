import type { Logform, transports } from 'winston';
import type { LogEntry } from './log-entry.ts';
import { LEVELS, type Level } from './log-level.ts';
import type { Output } from './stdout-output.ts';

/** The key under which a format stores the text of a line for the transports (triple-beam's `MESSAGE`). */
const MESSAGE = Symbol.for('message');

interface Info extends Logform.TransformableInfo {
  readonly entry: LogEntry;
  [MESSAGE]: string;
}

/** Winston exports this class, and 3.19 declares it under another name. */
type TransportClass = new (options: { log(info: Info, next: () => void): void }) => transports.StreamTransportInstance;

/**
 * Loads winston, and creates a logger with this level, the format of `output`, and `output` as its transport. Winston writes each
 * entry before `log` returns: so lines from before and after it was loaded keep their order.
 * @returns a function that writes an entry.
 */
export async function startWinston(level: Level, output: Output): Promise<(entry: LogEntry) => void> {
  // Only the default export: in the bundle, a CommonJS module has no named ones.
  const { default: winston } = await import('winston');
  const { Transport } = winston as unknown as { Transport: TransportClass };
  const format = winston.format((info) => {
    const line = info as Info;
    line[MESSAGE] = output.format(line.entry);
    return line;
  });
  const transport = new Transport({
    log(info, next) {
      output.write(info.entry, info[MESSAGE]);
      next();
    },
  });
  const logger = winston.createLogger({
    level,
    levels: Object.fromEntries(LEVELS.map((name, rank) => [name, rank])),
    format: format(),
    transports: [transport],
  });
  return (entry) => {
    logger.log({ level: entry.severity.toLowerCase(), message: entry.message, entry });
  };
}
