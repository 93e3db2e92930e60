import { readFileSync } from 'node:fs';
import { ServingError } from '../../../errors.ts';
import type { Target } from '../http/target.ts';
import { type CheckBody, createCheck } from './check.ts';
import type { FormatName } from './format-names.ts';
import { FORMATS, type RequestForm, writeRequest, writeRequests } from './formats.ts';
import { type Asking, describeLive, type LiveModel } from './live-model.ts';
import { exampleRow, goldenRows, type Rows, readRows } from './rows.ts';

/** The options that say what is sent. */
export interface RequestOptions {
  readonly format: FormatName;
  readonly model?: string;
  readonly rows?: string;
  /** Rows in a request. */
  readonly batch: number;
  /** A file that is sent as it is. */
  readonly body?: string;
  readonly contentType: string;
  readonly check?: boolean;
  readonly tolerance: number;
}

/** What a load sends. */
export interface RequestPlan {
  /** Where it is sent. */
  readonly path: string;
  readonly requests: readonly Buffer[];
  readonly check: CheckBody | undefined;
  /** For people: what the requests are. */
  readonly title: string;
  readonly model: Pick<LiveModel, 'name' | 'version'> | undefined;
}

/**
 * Writes the requests of a load: of a file, or of rows for the model that the server describes.
 * @throws ServingError that names the file, the row, or what the server returned; the error of the system
 */
export async function planRequests(options: RequestOptions, asking: Asking): Promise<RequestPlan> {
  const { target, headers } = asking;
  if (options.body !== undefined) return planBody(options.body, options.contentType, target, headers);
  const live = await describeLive(asking, options.model);
  const format = FORMATS[options.format];
  const path = target.path ?? format.path(live, options.model === undefined);
  const { rows, source } = chooseRows(options, live);
  const form: RequestForm = { path, host: target.host, headers, rowsPerRequest: options.batch };
  const of = options.batch === 1 ? 'a row' : `${options.batch} rows`;
  return {
    path,
    requests: writeRequests(format, rows, live, form),
    check: options.check ? createCheck(options.format, rows, live, options.tolerance) : undefined,
    title: `${of} in ${format.title}, ${source}`,
    model: { name: live.name, version: live.version },
  };
}

function planBody(file: string, contentType: string, target: Target, headers: Asking['headers']): RequestPlan {
  const { path = '/', host } = target;
  const body = readFileSync(file);
  const message = { body, fields: [`Content-Type: ${contentType}`] };
  const title = `${body.length} bytes of ${file}`;
  return {
    path,
    requests: [writeRequest(message, { path, host, headers })],
    check: undefined,
    title,
    model: undefined,
  };
}

function chooseRows({ rows, check }: RequestOptions, live: LiveModel): Rows {
  if (rows !== undefined) return readRows(rows, live, check);
  if (!check) return exampleRow(live);
  if (live.golden.length > 0) return goldenRows(live);
  throw new ServingError(
    'NOT_FOUND',
    `--check: the server shows no golden rows of ${live.name}: give a golden.json with --rows`,
  );
}
