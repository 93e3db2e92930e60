import { ServingError } from '../../../errors.ts';
import type { Logger } from '../../../telemetry/log/logger.ts';
import { describe } from '../../../tensor/fill.ts';
import type { JsonObject, JsonValue } from '../../../tensor/json/reader.ts';
import { invalid } from '../members.ts';

/** How requests are traced. */
interface Settings {
  level: 'OFF' | 'TIMESTAMPS';
  /** One of so many requests is traced. */
  rate: number;
  /** Traces that remain to be written; -1 for any number. */
  count: number;
  logFrequency: number;
}

/** The settings of one model, or of all: a missing one is that of all models, or else the default. */
type Scope = Partial<Settings> & { seen: number };

/** Triton's defaults (triton-inference-server/server, src/command_line_parser.h). */
const DEFAULTS: Readonly<Settings> = { level: 'OFF', rate: 1000, count: -1, logFrequency: 0 };
const MAX_INT32 = 2 ** 31 - 1;
const MAX_UINT32 = 2 ** 32 - 1;

/** The identity of a traced request. */
interface Traced {
  readonly model: string;
  readonly version: string;
  readonly requestId: string;
}

/** Collects the timestamps of a traced request. */
interface Trace {
  /** Adds a timestamp. @param at milliseconds of `performance.now()`. Default: now. */
  mark(name: 'REQUEST_START' | 'QUEUE_START' | 'COMPUTE_END' | 'REQUEST_END', at?: number): void;
  /** Writes the trace to the log. */
  end(traced: Traced): void;
}

/** Decides which requests are traced, by settings that can be changed. */
export interface Tracer {
  /** The settings of a model, or of all (undefined), as Triton shows them: every value is a text. */
  show(model: string | undefined): object;
  /**
   * Changes the settings that `body` has; null resets one.
   * @throws ServingError `INVALID_INPUT`; `UNSUPPORTED` for traces of tensors, and for a file.
   */
  change(model: string | undefined, body: JsonObject): void;
  /** Counts a request of the model. @returns a trace if the request is to be traced, else undefined. */
  start(model: string): Trace | undefined;
}

/**
 * Creates a tracer with Triton's settings (Triton, trace extension). A trace is a line of the log, written when its request ends;
 * Triton writes files, which callers must not be able to create here. Tensors are not traced: callers' data is not logged.
 */
export function createTracer(logger: Pick<Logger, 'info'>): Tracer {
  const all: Scope = { seen: 0 };
  const models = new Map<string, Scope>();
  const scopeOf = (model: string | undefined): Scope => (model === undefined ? all : (models.get(model) ?? all));

  const settingsOf = (scope: Scope): Settings => ({
    level: scope.level ?? all.level ?? DEFAULTS.level,
    rate: scope.rate ?? all.rate ?? DEFAULTS.rate,
    count: scope.count ?? all.count ?? DEFAULTS.count,
    logFrequency: scope.logFrequency ?? all.logFrequency ?? DEFAULTS.logFrequency,
  });

  function sample(model: string): boolean {
    const scope = scopeOf(model);
    // Checked first, for every request: most servers trace none.
    if ((scope.level ?? all.level ?? DEFAULTS.level) === 'OFF') return false;
    const { rate, count } = settingsOf(scope);
    if (count === 0) return false;
    scope.seen += 1;
    if (scope.seen % rate !== 0) return false;
    const counted = scope.count === undefined ? all : scope;
    if (count > 0) counted.count = count - 1;
    return true;
  }

  return {
    show(model) {
      const { level, rate, count, logFrequency } = settingsOf(scopeOf(model));
      return {
        trace_level: [level],
        trace_rate: String(rate),
        trace_count: String(count),
        log_frequency: String(logFrequency),
        trace_file: '',
      };
    },
    change(model, body) {
      const changes = readChanges(body);
      if (model !== undefined && !models.has(model)) models.set(model, { seen: 0 });
      Object.assign(scopeOf(model), changes);
    },
    start: (model) => (sample(model) ? createTrace(logger) : undefined),
  };
}

function createTrace(logger: Pick<Logger, 'info'>): Trace {
  const timestamps: { name: string; ns: number }[] = [];
  return {
    mark: (name, at = performance.now()) => void timestamps.push({ name, ns: Math.round(at * 1e6) }),
    end: (traced) => logger.info('trace of a request', { ...traced, timestamps }),
  };
}

/** The settings that the body has: undefined for one that it resets. */
function readChanges(body: JsonObject): { [Name in keyof Settings]?: Settings[Name] | undefined } {
  const { trace_level, trace_rate, trace_count, log_frequency, trace_file } = body;
  if (trace_file !== undefined && trace_file !== null && trace_file !== '') {
    const message = 'trace_file: traces are written to the log, whose destination cannot be changed over HTTP';
    throw new ServingError('UNSUPPORTED', message, { path: 'trace_file' });
  }
  return {
    ...(trace_level !== undefined && { level: readLevel(trace_level) }),
    ...(trace_rate !== undefined && { rate: readCount('trace_rate', trace_rate, 1, MAX_UINT32) }),
    ...(trace_count !== undefined && { count: readCount('trace_count', trace_count, -1, MAX_INT32) }),
    ...(log_frequency !== undefined && { logFrequency: readCount('log_frequency', log_frequency, 0, MAX_UINT32) }),
  };
}

function readLevel(given: JsonValue): Settings['level'] | undefined {
  if (given === null) return undefined;
  const levels = Array.isArray(given) ? given : [given];
  const [level] = levels;
  if (levels.includes('TENSORS')) {
    const message = "trace_level: TENSORS would write callers' data to the log: expected OFF or TIMESTAMPS";
    throw new ServingError('UNSUPPORTED', message, { path: 'trace_level' });
  }
  if (levels.length === 1 && (level === 'OFF' || level === 'TIMESTAMPS')) return level;
  throw invalid(
    'trace_level',
    `trace_level: expected ["OFF"] or ["TIMESTAMPS"], got ${JSON.stringify(levels.map(describe)).slice(0, 80)}`,
  );
}

/** Reads an integer, also as a text, as Triton's clients send it; undefined for null. */
function readCount(name: string, given: JsonValue, least: number, most: number): number | undefined {
  if (given === null) return undefined;
  const value = typeof given === 'string' && /^-?\d{1,10}$/.test(given) ? Number(given) : given;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(name, `${name}: expected an integer from ${least} to ${most}, got ${describe(given)}`);
}
