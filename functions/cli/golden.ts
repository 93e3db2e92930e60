import { InvalidArgumentError } from 'commander';
import type { GoldenArguments } from './golden/arguments.ts';
import type { Verb } from './verb.ts';

const HELP = `
Golden rows are rows with the outputs that the model gives for them. The server
does not become ready before they come out right. They are made by the model
itself, in an engine process of the server; a model whose outputs differ from
run to run is refused. The rows are in a CSV or NDJSON file, a golden.json, or
a model.json with an example (default: the one beside the model).

With --check, a running server gets the rows, and its responses are compared.

Examples:
  onnx-cloud-run golden model.onnx rows.csv        writes golden.json beside the model
  onnx-cloud-run golden models/iris rows.ndjson --count 50 --force
  onnx-cloud-run golden golden.json --check https://ml-model-abc-uc.a.run.app \\
    --token "$(gcloud auth print-identity-token)"
  onnx-cloud-run golden models --check http://localhost:8080

Exit codes: 0 if it is written, or all rows came out right; 1 if not; 2 for
wrong usage.`;

/** The most rows of a golden.json that the server reads. */
const MOST_ROWS = 1000;

/** `onnx-cloud-run golden [PATH] [ROWS]`: makes golden rows, or checks a running server with them. */
export const golden: Verb = {
  name: 'golden',
  summary: 'make golden rows, or check a running server with them',
  add(command) {
    command
      .argument('[path]', 'the model; with --check, golden.json or the folder of the models (default: golden.json)')
      .argument('[rows]', 'the file of the rows')
      .option('-o, --output <file>', 'where to write them (default: golden.json beside the model)')
      .option('--count <n>', 'most rows, spread evenly over the file', readNumber(1, MOST_ROWS, true), 20)
      .option('--tolerance <x>', 'largest difference, relative to values above 1', readNumber(0, 1), 1e-4)
      .option('--force', 'replace a golden.json that exists')
      .option('--check <url>', 'send the rows to this server, and compare the responses')
      .option('--model <name>', 'with --check: one of several models (default: the one behind /predict)')
      .option('--token <token>', 'with --check: the bearer token')
      .option('--token-file <file>', 'with --check: a file with the bearer token')
      .option('--identity-token [audience]', 'with --check: a token of the metadata server (default: for the URL)')
      .option('--wait <seconds>', 'with --check: longest wait until it is ready', readNumber(0, 3600), 120)
      .option('--json', 'print one JSON document')
      .addHelpText('after', HELP)
      .action(
        async (
          path: string | undefined,
          samples: string | undefined,
          options: Omit<GoldenArguments, 'path' | 'samples'>,
        ) => {
          const { reportVerb } = await import('./terminal/reporting.ts');
          const given: GoldenArguments = { ...options, path, samples };
          await reportVerb(command, options, async (context) => {
            const { run } = await (options.check === undefined
              ? import('./golden/make.ts')
              : import('./golden/check.ts'));
            return run(given, context);
          });
        },
      );
  },
};

/** A parser of a number. */
function readNumber(least: number, most: number, isInteger = false): (text: string) => number {
  return (text) => {
    const number = Number(text);
    const isRight = text.trim() !== '' && number >= least && number <= most && (!isInteger || Number.isInteger(number));
    if (isRight) return number;
    throw new InvalidArgumentError(`It takes ${isInteger ? 'an integer' : 'a number'} from ${least} to ${most}.`);
  };
}
