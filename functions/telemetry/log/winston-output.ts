import type { Logform, transports } from 'winston';
import type { LogEntry } from './log-entry.ts';
import { LEVELS, type Level } from './log-level.ts';
import type { Output } from './stdout-output.ts';

/** Where a format leaves the text of a line for the transports: the key that winston's own formats use. */
const MESSAGE = Symbol.for('message');

interface Info extends Logform.TransformableInfo {
  readonly entry: LogEntry;
  [MESSAGE]: string;
}

/** Winston exports it, and 3.19 declares it under another name. */
type TransportClass = new (options: { log(info: Info, next: () => void): void }) => transports.StreamTransportInstance;

/**
 * Makes the winston logger: its level, `output`'s format and `output` as its transport. Winston hands each entry on before
 * `log` returns, so lines written before it was loaded and after keep their order.
 */
export async function startWinston(level: Level, output: Output): Promise<(entry: LogEntry) => void> {
  // The default alone: a bundler gives a CommonJS module no named exports here.
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
