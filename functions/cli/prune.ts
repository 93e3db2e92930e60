import { readShare } from './edited/share.ts';
import type { PruneArguments } from './prune/run.ts';
import { reportVerb } from './terminal/reporting.ts';
import type { Verb } from './verb.ts';

const HELP = `
Removes what the outputs of a model do not need: nodes and initializers that
nothing reads, second copies of initializers, nodes that only pass their input
on (Identity, Dropout), and what only training has. The outputs stay as they
are, which is checked before the file gets its place.

--sparsity sets the smallest weights to zero, which changes the outputs. The
file is smaller once it is compressed, and not faster: onnxruntime multiplies
the zeros.

Examples:
  onnx-cloud-run prune model.onnx                  writes model.pruned.onnx
  onnx-cloud-run prune model.onnx --outputs probabilities --output small.onnx
  onnx-cloud-run prune model.onnx --sparsity 0.5 --samples rows.csv

Exit codes: 0 if the file was written; 1 if the model cannot be used, or its
outputs differ by more than the tolerance; 2 for wrong usage.`;

/** `onnx-cloud-run prune MODEL`: writes the model without what its outputs do not need. */
export const prune: Verb = {
  name: 'prune',
  summary: 'write a model without what it does not need',
  add(command) {
    command
      .argument('<model>', 'a .onnx file, or a folder with one model')
      .option('-o, --output <file>', 'the file to write (default: MODEL.pruned.onnx)')
      .option('--force', 'replace a file that exists')
      .option('--outputs <names>', 'the outputs to keep, with commas between them (default: all)', readNames)
      .option('--sparsity <share>', 'the share of the weights that become zero, 0 to 1', readShare)
      .option('--external-data', "write the weights into a file of their own: the model's name and .data")
      .option('--no-external-data', 'write everything into one file')
      .option(
        '--samples <file>',
        'rows to compare over: .csv, .ndjson, .json (default: golden.json, else made-up ones)',
      )
      .option(
        '--tolerance <t>',
        'largest difference of a float, relative to max(1, |original|) (default: 1e-4); with --sparsity, the share of rows that may get another class, or the mean difference (default: any)',
        readShare,
      )
      .option('--json', 'print one JSON document')
      .addHelpText('after', HELP)
      .action((model: string, options: PruneArguments) =>
        reportVerb(command, options, async (context) => {
          const { runPrune } = await import('./prune/run.ts');
          return runPrune(model, options, context);
        }),
      );
  },
};

const readNames = (text: string): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
