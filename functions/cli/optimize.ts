import { Option } from 'commander';
import { readShare } from './edited/share.ts';
import { LEVELS } from './optimize/order.ts';
import type { OptimizeArguments } from './optimize/run.ts';
import { reportVerb } from './terminal/reporting.ts';
import type { Verb } from './verb.ts';

const HELP = `
onnxruntime optimises a model at each load: it folds constants and fuses nodes.
The result of this command has that done, so that it loads faster. Its outputs
are compared with the original's before the file gets its place.

Levels: basic folds constants and removes nodes that do nothing; extended also
fuses nodes to operators of onnxruntime; all also lays out convolutions for
this CPU, and is refused unless --this-machine is given. So is --prepacked,
which saves the weights in the order in which this CPU's kernels read them:
engine processes then share them, and load without packing.

Examples:
  onnx-cloud-run optimize model.onnx               writes model.optimized.onnx
  onnx-cloud-run optimize model.onnx --level basic --output small/model.onnx
  onnx-cloud-run optimize model.onnx --samples rows.csv --tolerance 1e-5
  onnx-cloud-run optimize model.onnx --prepacked --this-machine

Exit codes: 0 if the file was written; 1 if the model cannot be optimised, or
its outputs differ by more than the tolerance; 2 for wrong usage.`;

/** `onnx-cloud-run optimize MODEL`: writes the model as onnxruntime optimises it. */
export const optimize: Verb = {
  name: 'optimize',
  summary: 'write a model that loads faster',
  add(command) {
    command
      .argument('<model>', 'a .onnx file, or a folder with one model')
      .option('-o, --output <file>', 'the file to write (default: MODEL.optimized.onnx)')
      .option('--force', 'replace a file that exists')
      .addOption(new Option('--level <level>', 'what onnxruntime does').choices(LEVELS).default('extended'))
      .option('--external-data', "write the weights into a file of their own: the model's name and .data")
      .option('--no-external-data', 'write everything into one file')
      .option('--prepacked', 'also the weights as the kernels of this CPU read them, in that file')
      .option('--this-machine', 'the result may be one that only machines like this one run')
      .option(
        '--samples <file>',
        'rows to compare over: .csv, .ndjson, .json (default: golden.json, else made-up ones)',
      )
      .option('--tolerance <t>', 'largest difference of a float, relative to max(1, |original|)', readShare, 1e-4)
      .option('--json', 'print one JSON document')
      .addHelpText('after', HELP)
      .action((model: string, options: OptimizeArguments) =>
        reportVerb(command, options, async (context) => {
          const { runOptimize } = await import('./optimize/run.ts');
          return runOptimize(model, options, context);
        }),
      );
  },
};
