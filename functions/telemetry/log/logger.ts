import { createCloudOutput } from './cloud-output.ts';
import {
  type LogEntry,
  type LogFields,
  levelOfStatus,
  makeEntry,
  makeRequestEntry,
  type RequestLog,
} from './log-entry.ts';
import { LEVELS, type Level, type LevelName, rankOf, resolveLevel } from './log-level.ts';
import { createStdoutOutput } from './stdout-output.ts';
import { startWinston } from './winston-output.ts';

interface LoggerOptions {
  /** The least severe level that is written. Winston's `warn`, `http`, `verbose` and `silly` are accepted too. */
  level: LevelName;
  /** `cloud` sends to the Cloud Logging API and needs credentials; `stdout` is what Cloud Run and GKE collect. */
  transport: 'stdout' | 'cloud';
  /** The project of traces, which makes the trace of a line a link; without it a line has the trace's id alone. */
  projectId?: string | undefined;
  /** Short coloured lines for a terminal instead of JSON. */
  readable?: boolean | undefined;
}

/** Writes log lines. No method waits or throws. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** For errors that end the process. */
  critical(message: string, fields?: LogFields): void;
  /** Writes the line of a finished request: `ERROR` from status 500 on (except 501 and 503), `WARNING` from 400 on, else `INFO`. */
  request(entry: RequestLog): void;
  /** The levels whose lines are written. */
  levels(): ReadonlySet<Level>;
  /** Changes the levels whose lines are written. */
  setLevels(levels: Iterable<Level>): void;
  /** Lines lost since the start because the reader of stdout did not keep up. */
  dropped(): number;
  /** Resolves once every line is written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export type { LogFields, RequestLog } from './log-entry.ts';
export type { Level } from './log-level.ts';

const WINSTON_AFTER_MS = 1000;

/**
 * Creates the process's logger. It is built on winston, which has the level, the format and the transport of every line. Winston
 * takes 50 to 115 ms to load, too long for a cold start: loading starts a second after the first line, and earlier lines are
 * written without it, in the same format to the same transport. A line takes some 8 µs without winston and 18 µs with it. Lines
 * that are not written when the process exits are written then.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { projectId } = options;
  let written: ReadonlySet<Level> = new Set(LEVELS.slice(0, rankOf(resolveLevel(options.level)) + 1));
  const stdout = createStdoutOutput(options.readable ?? false);
  const output = options.transport === 'cloud' ? createCloudOutput({ projectId, fallback: stdout }) : stdout;
  const writeDirectly = (entry: LogEntry): void => output.write(entry, output.format(entry));
  let write = writeDirectly;
  let started = false;

  async function start(): Promise<void> {
    try {
      // Winston's level passes all lines, as `setLevels` may change those that are written.
      write = await startWinston('debug', output);
    } catch (error) {
      writeDirectly(makeEntry('warning', 'winston did not load; lines are written without it', { error }, projectId));
    }
  }

  function emit(entry: LogEntry): void {
    write(entry);
    if (started) return;
    started = true;
    // Not while the model loads: the first response needs the same CPUs.
    setTimeout(start, WINSTON_AFTER_MS).unref();
  }

  const loggerFor =
    (level: Level) =>
    (message: string, fields: LogFields = {}): void => {
      if (written.has(level)) emit(makeEntry(level, message, fields, projectId));
    };

  return {
    debug: loggerFor('debug'),
    info: loggerFor('info'),
    warning: loggerFor('warning'),
    error: loggerFor('error'),
    critical: loggerFor('critical'),
    request(entry) {
      if (written.has(levelOfStatus(entry.status))) emit(makeRequestEntry(entry, projectId));
    },
    levels: () => written,
    setLevels(levels) {
      written = new Set(levels);
    },
    dropped: stdout.dropped,
    flush: output.flush,
  };
}
