import type { Level, LogFields, Logger, RequestLog } from '../../functions/telemetry/log/logger.ts';
import { createMetrics, type Metrics } from '../../functions/telemetry/metrics/metrics.ts';

export interface RecordedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordingTelemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly lines: RecordedLine[];
  readonly requests: RequestLog[];
}

/** A logger that keeps its lines in memory, beside real metrics. */
export function recordTelemetry(): RecordingTelemetry {
  const lines: RecordedLine[] = [];
  const requests: RequestLog[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push({ level, message, fields });
  let levels: ReadonlySet<Level> = new Set(['critical', 'error', 'warning', 'info']);
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warning: at('warning'),
    error: at('error'),
    critical: at('critical'),
    request: (entry) => void requests.push(entry),
    levels: () => levels,
    setLevels: (given) => {
      levels = new Set(given);
    },
    dropped: () => 0,
    flush: () => Promise.resolve(),
  };
  return { logger, metrics: createMetrics(), lines, requests };
}
