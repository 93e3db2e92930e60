import { InvalidArgumentError } from 'commander';
import type { DoctorOptions } from './doctor/doctor.ts';
import { reportVerb } from './terminal/reporting.ts';
import type { Verb } from './verb.ts';

const HELP = `
It loads each model as the server does, and says whether it serves and how to
mend what does not. It measures load time, memory and run times on this
machine, and what Cloud Run needs for that and costs. A model in a bucket is
fetched into a temporary folder, which is removed; one with code is refused.

Examples:
  onnx-cloud-run doctor model.onnx
  onnx-cloud-run doctor models/ --no-measure        every model of a folder, without measuring
  onnx-cloud-run doctor gs://my-bucket/models/fraud
  onnx-cloud-run doctor model.onnx --write my-project
  onnx-cloud-run doctor model.onnx --json | jq .serves

Exit codes: 0 if every model serves, also with warnings; 1 if one does not, or
if there is none; 2 for wrong usage; 130 after Ctrl-C.`;

/** `onnx-cloud-run doctor MODEL`: says whether a model serves, what it needs and what it costs. */
export const doctor: Verb = {
  name: 'doctor',
  summary: 'check whether a model serves, and what it needs',
  add(command) {
    command
      .argument('<model>', 'a .onnx file, a folder of a model, of versions or of models, or gs://bucket/…')
      .option('--model <name>', 'examine this model of a folder of models alone')
      .option('--threads <number>', 'threads of a run to measure with', readThreads, 1)
      .option('--no-measure', 'do not measure load time, memory and run times')
      .option('--prices <file>', 'a JSON file with other prices than the list prices')
      .option(
        '--write [project]',
        'write the settings into service.yaml and k8s/ of a project (default: .), and a model.json',
      )
      .option('--force', 'with --write: replace the fields of a model.json that exists')
      .option('--json', 'print one JSON document')
      .addHelpText('after', HELP)
      .action((model: string, options: DoctorOptions) =>
        reportVerb(command, options, async (context) => {
          const { runDoctor } = await import('./doctor/doctor.ts');
          return runDoctor(model, options, context);
        }),
      );
  },
};

const MOST_THREADS = 64;

function readThreads(text: string): number {
  const threads = Number(text);
  if (/^\d+$/.test(text) && threads >= 1 && threads <= MOST_THREADS) return threads;
  throw new InvalidArgumentError(`It takes a number of threads, 1 to ${MOST_THREADS}.`);
}
