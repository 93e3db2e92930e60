import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type GivenSettings, isInProduction, SETTINGS, type SettingName, textOfSetting } from '../config/settings.ts';
import { inspectModel } from '../onnx/inspect.ts';
import { EXIT, type Verb } from './verb.ts';

interface Options {
  readonly port?: string;
  readonly host?: string;
  readonly open?: boolean;
}

const HELP = `
Every other setting is an environment variable; docs/operate/settings.md lists
them.

Examples:
  onnx-cloud-run serve model.onnx                  one model, on http://localhost:8080
  onnx-cloud-run serve models/ --port 9000 --open  a folder of models, and its page in the browser
  onnx-cloud-run serve gs://my-bucket/models --host '*'
  LOG_LEVEL=debug onnx-cloud-run serve model.onnx

Exit codes: 0 after Ctrl+C or SIGTERM, 1 if it cannot start, 2 for wrong usage.`;

/** `onnx-cloud-run serve [MODEL]`: serves until a signal. */
export const serve: Verb = {
  name: 'serve',
  summary: 'serve a model, or a folder of models, over HTTP',
  add(command) {
    command
      .argument('[model]', 'a .onnx file, a folder, or gs://bucket/… (default: MODEL_URI, else the folder models)')
      .option('-p, --port <port>', 'port to listen on; 0: any free one (default: PORT, else 8080)', read('PORT'))
      .option('--host <address>', 'address to listen on; *: all (default: HOST, else 127.0.0.1)', read('HOST'))
      .option('--open', 'open the page in the browser once the model is ready')
      .addHelpText('after', HELP)
      .action((model: string | undefined, options: Options) => start(command, model, options));
  },
};

/** A parser of an option that sets `name`. */
function read(name: SettingName): (text: string) => string {
  const { schema, takes } = SETTINGS[name];
  return (text) => {
    if (schema.safeParse(text).success) return text;
    throw new InvalidArgumentError(`It takes ${takes}.`);
  };
}

async function start(command: Command, model: string | undefined, { port, host, open = false }: Options) {
  const fault = findFault(model);
  if (fault !== undefined) command.error(fault, { exitCode: EXIT.failure });
  const { prespawn } = await import('../engine/process/spawn.ts');
  prespawn();
  // On a terminal the report says what the log says of a start.
  const isQuiet = process.stdout.isTTY && textOfSetting('LOG_LEVEL') === undefined;
  const given: GivenSettings = {
    ...(model !== undefined && { MODEL_URI: model }),
    ...(port !== undefined && { PORT: port }),
    ...(host !== undefined && { HOST: host }),
    ...(isQuiet && { LOG_LEVEL: 'warning' }),
  };
  const [{ main }, { createReport }] = await Promise.all([import('../container.ts'), import('./serve/report.ts')]);
  const isReported = process.stderr.isTTY || !isInProduction();
  main(given, isReported ? createReport({ isQuiet, opensPage: open, endsIfFailed: isFile(model) }) : undefined);
}

/** Why a local model cannot be served, as far as its files show; undefined if nothing is wrong. */
function findFault(model: string | undefined): string | undefined {
  const uri = model ?? textOfSetting('MODEL_URI') ?? SETTINGS.MODEL_URI.default;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(uri)) {
    return SETTINGS.MODEL_URI.schema.safeParse(uri).success
      ? undefined
      : `${uri}: a model is ${SETTINGS.MODEL_URI.takes}`;
  }
  const found = statSync(uri, { throwIfNoEntry: false });
  if (found === undefined) {
    const missing = `no such file or folder: ${resolve(uri)}`;
    return uri === SETTINGS.MODEL_URI.default ? `${missing}; name a model: onnx-cloud-run serve model.onnx` : missing;
  }
  if (found.isDirectory()) return undefined;
  if (!uri.endsWith('.onnx')) return `${uri}: a model is a file whose name ends in .onnx, or a folder`;
  try {
    inspectModel(uri);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const isFile = (model: string | undefined): boolean =>
  model !== undefined && statSync(model, { throwIfNoEntry: false })?.isFile() === true;
