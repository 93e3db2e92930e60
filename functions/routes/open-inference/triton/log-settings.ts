import { ServingError } from '../../../errors.ts';
import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';
import type { Level, Logger } from '../../../telemetry/log/logger.ts';
import { describe } from '../../../tensor/fill.ts';
import type { JsonObject, JsonValue } from '../../../tensor/json/reader.ts';
import { invalid } from '../members.ts';
import { readShortBody, SHORT_BODY } from '../short-body.ts';

/** What the log settings routes need. */
interface LogSettingsOptions {
  readonly logger: Pick<Logger, 'levels' | 'setLevels'>;
}

/** The log level of each of Triton's switches. `critical` is always written. */
const SWITCHES = { log_info: 'info', log_warning: 'warning', log_error: 'error' } as const satisfies Record<
  string,
  Level
>;
const FORMATS = ['default', 'ISO8601'];
const MAX_UINT32 = 2 ** 32 - 1;

/**
 * `GET /v2/logging` shows the log settings; `POST /v2/logging`, which needs the admin token, changes them until the process ends
 * (Triton, logging extension; names as in triton-inference-server/server, src/http_server.cc). A verbose level above 0 means
 * `LOG_LEVEL=debug`. Lines are JSON with an ISO 8601 time in either format. Unknown names are ignored.
 */
export function createLogSettingsRoutes({ logger }: LogSettingsOptions): Route[] {
  let verboseLevel = logger.levels().has('debug') ? 1 : 0;
  let format = 'default';

  function show(context: RequestContext): void {
    const levels = logger.levels();
    const shown = {
      log_file: '',
      ...Object.fromEntries(Object.entries(SWITCHES).map(([name, level]) => [name, levels.has(level)])),
      log_verbose_level: verboseLevel,
      log_format: format,
    };
    sendJson(context, 200, JSON.stringify(shown));
  }

  function change(context: RequestContext, body: Buffer): void {
    const settings = readShortBody(body);
    // All settings are checked before any is changed.
    checkFile(settings.log_file);
    const levels = new Set(logger.levels());
    for (const [name, level] of Object.entries(SWITCHES)) {
      const on = readSwitch(settings, name);
      if (on === true) levels.add(level);
      else if (on === false) levels.delete(level);
    }
    const verbose = readVerbose(settings.log_verbose_level) ?? verboseLevel;
    format = readFormat(settings.log_format) ?? format;
    verboseLevel = verbose;
    if (verbose > 0) levels.add('debug');
    else levels.delete('debug');
    logger.setLevels(levels);
    show(context);
  }

  return [
    { method: 'GET', path: '/v2/logging', internal: true, handle: show },
    { method: 'POST', path: '/v2/logging', admin: true, body: SHORT_BODY, handle: change },
  ];
}

function checkFile(file: JsonValue | undefined): void {
  if (isUnset(file) || file === '') return;
  throw new ServingError(
    'UNSUPPORTED',
    'log_file: the destination of the log is set when the server starts (LOG_TRANSPORT)',
    {
      path: 'log_file',
    },
  );
}

function readSwitch(settings: JsonObject, name: string): boolean | undefined {
  const value = settings[name];
  if (isUnset(value)) return undefined;
  if (typeof value === 'boolean') return value;
  throw invalid(name, `${name}: expected true or false, got ${describe(value)}`);
}

function readVerbose(value: JsonValue | undefined): number | undefined {
  if (isUnset(value)) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_UINT32) return value;
  const message = `log_verbose_level: expected an integer from 0 to ${MAX_UINT32}, got ${describe(value)}`;
  throw invalid('log_verbose_level', message);
}

function readFormat(value: JsonValue | undefined): string | undefined {
  if (isUnset(value)) return undefined;
  if (typeof value === 'string' && FORMATS.includes(value)) return value;
  throw invalid('log_format', `log_format: expected ${FORMATS.join(' or ')}, got ${describe(value)}`);
}

const isUnset = (value: JsonValue | undefined): value is undefined | null => value === undefined || value === null;
