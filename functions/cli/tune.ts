import { InvalidArgumentError, Option } from 'commander';
import type { TuneArguments } from './tune/arguments.ts';
import type { Verb } from './verb.ts';

const HELP = `
It starts the production server of this package on the loopback, once for each
combination of engine processes, threads, weights, batch size and batch delay
that is worth a try, sends it predictions at several concurrencies, and prints
the combinations that no other one beats in rate, p99 and memory, with the cost
of a million predictions. The best ones are measured again in turn with the
defaults: what it chooses is at least as good. Nothing else should run on the
machine meanwhile; one with as many CPUs as the service has is best.

Without ROWS it sends the rows of the golden.json beside the model, or the
example of its model.json, or a row that it makes up. Other prices are a file
such as {"prices": {"spotCpuHour": 0.015}}; docs/deploy/costs.md has the names.

Examples:
  onnx-cloud-run tune model.onnx rows.csv
  onnx-cloud-run tune models/iris --budget 2m --p99 20
  onnx-cloud-run tune model.onnx --bill gkeSpot --prices prices.json --write
  onnx-cloud-run tune model.onnx --json > tuned.json

Exit codes: 0 if it has chosen settings, 1 if the model does not load or no
settings keep the p99, 2 for wrong usage.`;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const LEAST_BUDGET = 5;

/** `onnx-cloud-run tune MODEL [ROWS]`: finds settings for a model on this machine. */
export const tune: Verb = {
  name: 'tune',
  summary: 'find the best settings for a model on this machine',
  add(command) {
    command
      .argument('<model>', 'a .onnx file or its folder')
      .argument('[rows]', 'a file of rows: CSV, NDJSON, golden.json or model.json')
      .addOption(
        new Option('--budget <time>', 'time for the search, such as 90s or 5m').argParser(readTime).default(300, '5m'),
      )
      .option('--p99 <ms>', 'highest p99 that is allowed', readMs)
      .addOption(
        new Option('--bill <way>', 'the bill that is to be low')
          .choices(['cloudRunRequests', 'cloudRunInstances', 'gke', 'gkeSpot'])
          .default('cloudRunInstances'),
      )
      .option('--prices <file>', 'other prices than those of the package')
      .option('--write [folder]', 'write the settings into service.yaml and k8s/ of a project (default: .)')
      .option('--json', 'print one JSON document')
      .addHelpText('after', HELP)
      .action(async (path: string, rows: string | undefined, options: Omit<TuneArguments, 'path' | 'rows'>) => {
        const [{ reportVerb }, { run }] = await Promise.all([
          import('./terminal/reporting.ts'),
          import('./tune/run.ts'),
        ]);
        await reportVerb(command, options, (context) => run({ ...options, path, rows }, context));
      });
  },
};

function readTime(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text) ?? [];
  const seconds = Number(number) * UNITS[unit || 's']!;
  if (seconds >= LEAST_BUDGET && seconds <= 24 * 3600) return seconds;
  throw new InvalidArgumentError(`It takes a time from ${LEAST_BUDGET}s to 24h, such as 90s, 5m or 1h.`);
}

function readMs(text: string): number {
  const ms = Number(text);
  if (text.trim() !== '' && ms > 0 && Number.isFinite(ms)) return ms;
  throw new InvalidArgumentError('It takes milliseconds above 0.');
}
