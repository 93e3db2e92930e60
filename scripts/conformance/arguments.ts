import { parseArgs } from 'node:util';
import type { HostKind } from '../server-process.ts';

export const USAGE = `usage: npm run conformance -- URL [options]      checks the server at URL
       npm run conformance -- --start [options]  starts this project's server, and runs all checks
       npm run conformance -- --fixture FOLDER   writes the models that --fixture requires

  --model NAME           the model to use; else the first that the server lists
  --fixture              the server has the models of --fixture FOLDER
  --fresh                the server is not running: start it when this command waits for it
  --pid PID              its process on this machine, which the last check ends with SIGTERM
  --limit BYTES          the largest body that it accepts
  --host-kind KIND       container or functions: limits of the functions framework are no failure
  --header 'NAME: TEXT'  sent with every request; may be repeated
  --only 1,2             these checks only
  --timeout SECONDS      longest wait for a response (20)
  --verbose              show all that failed
  --help                 print this text

example: npm run conformance -- http://localhost:8080 --only 1,2

exit code: 0 if nothing failed, 1 if a check failed, 2 for a usage error`;

/** The arguments of the command. */
export interface Arguments {
  /** Undefined with `start`. */
  readonly url: string | undefined;
  /** The folder to which the models are written, without running checks. */
  readonly folder: string | undefined;
  readonly start: boolean;
  readonly model: string | undefined;
  readonly fixture: boolean;
  readonly fresh: boolean;
  readonly pid: number | undefined;
  readonly limitBytes: number | undefined;
  readonly hostKind: HostKind;
  readonly headers: Readonly<Record<string, string>>;
  readonly only: readonly number[] | undefined;
  readonly timeoutMs: number;
  readonly verbose: boolean;
}

/** Reads the arguments of the command. @throws Error that names the invalid one. */
export function readArguments(args: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      start: { type: 'boolean', default: false },
      model: { type: 'string' },
      fixture: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      pid: { type: 'string' },
      limit: { type: 'string' },
      'host-kind': { type: 'string', default: 'container' },
      header: { type: 'string', multiple: true, default: [] },
      only: { type: 'string' },
      timeout: { type: 'string', default: '20' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const [given, more] = positionals;
  if (more !== undefined) throw new Error(`expected one URL or folder, got ${positionals.join(' ')}`);
  const isUrl = given !== undefined && /^https?:\/\//.test(given);
  const folder = values.fixture && given !== undefined && !isUrl ? given : undefined;
  if (folder === undefined && !isUrl && !values.start)
    throw new Error(`expected a URL with http:// or https://, got ${given ?? 'none'}`);
  if (values.start && given !== undefined) throw new Error(`--start takes no URL: it starts a server of its own`);
  const kind = values['host-kind'];
  if (kind !== 'container' && kind !== 'functions')
    throw new Error(`--host-kind takes container or functions, got ${kind}`);
  if (values.fresh && !values.fixture && values.model === undefined)
    throw new Error('--fresh needs --model or --fixture');
  return {
    url: isUrl ? given.replace(/\/+$/, '') : undefined,
    folder,
    start: values.start,
    model: values.model,
    fixture: values.fixture || values.start,
    fresh: values.fresh || values.start,
    pid: integer('--pid', values.pid),
    limitBytes: integer('--limit', values.limit),
    hostKind: kind,
    headers: Object.fromEntries(values.header.map(readHeader)),
    only: values.only?.split(',').map((number) => integer('--only', number)!),
    timeoutMs: integer('--timeout', values.timeout)! * 1000,
    verbose: values.verbose,
  };
}

function integer(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new Error(`${option} takes an integer above 0, got ${text}`);
}

function readHeader(text: string): [string, string] {
  const at = text.indexOf(':');
  if (at < 1) throw new Error(`--header takes 'NAME: TEXT', got ${text}`);
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}
