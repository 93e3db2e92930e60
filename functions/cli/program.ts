import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { Command, CommanderError } from 'commander';
import { doctor } from './doctor.ts';
import { golden } from './golden.ts';
import { init } from './init.ts';
import { loadtest } from './loadtest.ts';
import { optimize } from './optimize.ts';
import { prune } from './prune.ts';
import { quantize } from './quantize.ts';
import { serve } from './serve.ts';
import { tune } from './tune.ts';
import { EXIT, type Verb } from './verb.ts';

/** The verbs, in the order of the help text. */
export const VERBS: readonly Verb[] = [serve, init, doctor, golden, optimize, quantize, prune, loadtest, tune];

const NAME = 'onnx-cloud-run';

/** Creates the program. Errors throw a `CommanderError` after their line was written. */
export function createProgram(): Command {
  const program = new Command(NAME)
    .description('Serves ONNX models over HTTP.')
    .version(readVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this text')
    // Every verb has options: without that word, each has its line.
    .configureHelp({ subcommandTerm: (verb) => `${verb.name()} ${verb.usage().replace('[options] ', '')}` })
    .helpCommand('help [verb]', 'print the help text of a verb')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(errorLine(text)) });
  for (const verb of VERBS) {
    const outputError = (text: string, write: (text: string) => void): void =>
      write(errorLine(withExamples(text, verb.name)));
    verb.add(program.command(verb.name).description(verb.summary).configureOutput({ outputError }));
  }
  return program;
}

/** Runs the program with the arguments of the command line, and sets the exit code. */
export async function run(args: readonly string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader of a pipe, such as `head`, has read enough: a server serves on.
      if (error.code !== 'EPIPE') throw error;
    });
  }
  try {
    const program = createProgram();
    refuseUnknownVerb(program, args);
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = exitCodeOf(error);
  }
}

/** Errors that commander does not have: a model without `serve` before it, and help for a verb that does not exist. */
function refuseUnknownVerb(program: Command, [first = '', second]: readonly string[]): void {
  const names = VERBS.map(({ name }) => name);
  const usage = { exitCode: EXIT.usage };
  if (/\.onnx$|[/\\]/.test(first) && !first.startsWith('-'))
    program.error(`unknown command '${first}'. To serve a model: ${NAME} serve ${first}`, usage);
  if (first === 'help' && second !== undefined && !/^(-|help$)/.test(second) && !names.includes(second))
    program.error(`unknown command '${second}': the commands are ${names.join(', ')}`, usage);
}

/** Commander gives errors of usage the code 1, and its own errors a name; `command.error` of a verb has its own exit code. */
function exitCodeOf({ code, exitCode }: CommanderError): number {
  if (exitCode === 0 || code === 'commander.error') return exitCode;
  return EXIT.usage;
}

/** An error about an argument or option that is missing, with the command that prints examples. */
function withExamples(text: string, verb: string): string {
  const isMissing = /^error: (missing required argument|required option)/.test(text);
  return isMissing ? `${text.trim()}; examples: ${NAME} ${verb} --help` : text;
}

/** `error: unknown option '--prot'\n(Did you mean --port?)\n` as one line of this program. */
function errorLine(text: string): string {
  return `${NAME}: ${text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')}\n`;
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(findPackageJSON(import.meta.url)!, 'utf8')) as { version: string };
  return version;
}
